module github.com/carryon-go/carryon/bench

go 1.26.0

require (
	github.com/alexedwards/scs/v2 v2.9.0
	github.com/aws/aws-lambda-go v1.55.1
	github.com/carryon-go/carryon v0.0.0-00010101000000-000000000000
	github.com/carryon-go/carryon/middleware/lambdasession v0.0.0-00010101000000-000000000000
	github.com/gorilla/sessions v1.4.0
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/fxamacker/cbor/v2 v2.10.0 // indirect
	github.com/gorilla/securecookie v1.1.2 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
)

replace github.com/carryon-go/carryon => ..

replace github.com/carryon-go/carryon/middleware/lambdasession => ../middleware/lambdasession
