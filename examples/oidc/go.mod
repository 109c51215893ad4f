module github.com/carryon-go/carryon/examples/oidc

go 1.26.0

require (
	github.com/carryon-go/carryon v0.0.0-00010101000000-000000000000
	github.com/carryon-go/carryon/middleware/oidcsession v0.0.0-00010101000000-000000000000
	github.com/coreos/go-oidc/v3 v3.21.0
	github.com/go-jose/go-jose/v4 v4.1.4
	github.com/stretchr/testify v1.12.1
)

require (
	github.com/fxamacker/cbor/v2 v2.10.0 // indirect
	github.com/x448/float16 v0.8.4 // indirect
	go.yaml.in/yaml/v3 v3.0.5 // indirect
	golang.org/x/oauth2 v0.38.0 // indirect
)

replace (
	github.com/carryon-go/carryon => ../..
	github.com/carryon-go/carryon/middleware/oidcsession => ../../middleware/oidcsession
)
