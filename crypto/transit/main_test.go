package transit_test

import (
	"testing"

	"go.uber.org/goleak"
)

// Every KEK of these tests was closed and left nothing running.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }
