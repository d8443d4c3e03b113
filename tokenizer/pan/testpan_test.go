package pan_test

import (
	"testing"

	"github.com/cardvault/cardvault/tokenizer/pan"
)

func TestIsTestPAN(t *testing.T) {
	// One or two of each publisher and of each length, as their pages print them.
	published := []string{
		"4242424242424242", "6205500000000000004", "4000000000000002", "378734493671000", "4222222222222", "30569309025904",
		"4111111111111111", "376680816376961", "6223164991230014", "4007000000027", "2223000010309703", "30000000000004",
		"7783320000000000", "586824160825533338", "135412345678911", "6799998900000999991", "5413330089020037",
	}
	for _, digits := range published {
		if !pan.IsTestPAN(mustParse(t, digits)) {
			t.Errorf("%s is no test PAN", digits)
		}
	}
	others := []string{
		"4242424242424259", "4111111111111129", "9000000000000001", "0000000000000000", "676770000005",
		"0378734493671000", "04111111111111111", // the same numbers with leading zeros are other PANs
	}
	for _, digits := range others {
		if pan.IsTestPAN(mustParse(t, digits)) {
			t.Errorf("%s is a test PAN", digits)
		}
	}
}
