module github.com/google/go-metrics-stackdriver

go 1.26.4

require (
	cloud.google.com/go/monitoring v1.8.0
	github.com/armon/go-metrics v0.4.1
)

replace (
	cloud.google.com/go/monitoring => ../monitoring
	google.golang.org/api => ../googleapi
)
