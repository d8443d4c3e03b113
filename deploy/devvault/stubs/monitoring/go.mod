module cloud.google.com/go/monitoring

go 1.26.4

require google.golang.org/api v0.109.0

replace google.golang.org/api => ../googleapi
