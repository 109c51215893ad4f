module github.com/carryon-go/carryon/fallback/dynamostore

go 1.26.0

require github.com/carryon-go/carryon v0.0.0-00010101000000-000000000000

replace github.com/carryon-go/carryon => ../..
