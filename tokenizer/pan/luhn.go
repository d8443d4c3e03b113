package pan

// CheckDigit returns the check digit, 0 to 9, that follows the digits of payload: the Luhn formula, ISO/IEC 7812-1
// annex B. Leading zeros add nothing to it, so the payload needs no length.
func CheckDigit(payload uint64) uint64 {
	sum := uint64(0)
	// Annex B: from the right, double the first digit and every second one after it; add the digits of the products
	// and the digits left alone; the check digit makes the sum a multiple of ten.
	for double := true; payload > 0; double = !double {
		digit := payload % 10
		if double {
			digit *= 2
		}
		sum += digit/10 + digit%10
		payload /= 10
	}
	return (10 - sum%10) % 10
}

// LuhnValid reports whether the last digit of number is the check digit of those before it.
func LuhnValid(number uint64) bool { return CheckDigit(number/10) == number%10 }
