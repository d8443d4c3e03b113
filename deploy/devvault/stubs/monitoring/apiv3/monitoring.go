// Package monitoring stands in for the Google Cloud metrics client, which only Vault's Stackdriver telemetry uses.
package monitoring

import (
	"context"
	"errors"

	"google.golang.org/api/option"
)

// MetricClient cannot be obtained: NewMetricClient always fails.
type MetricClient struct{}

// NewMetricClient refuses.
func NewMetricClient(context.Context, ...option.ClientOption) (*MetricClient, error) {
	return nil, errors.New("devvault is built without Google Cloud monitoring")
}
