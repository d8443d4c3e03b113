package main

import (
	"errors"
	"strings"

	"github.com/cardvault/cardvault/tokenizer/pan"
)

// refuseCardNumber refuses a command line with a card number in it, without
// repeating it: it stands in the process list and in the shell's history by now,
// and must not stand in a terminal's log too.
func refuseCardNumber(args []string) error {
	var grouped string // 4111 1111 …, which a shell splits
	words := splitFlags(args)
	for i, word := range words {
		if i > 0 && takesFreeDigits(words[i-1]) {
			continue
		}
		if strings.Trim(word, "0123456789 -") != "" {
			grouped = ""
			continue
		}
		grouped += word
		if looksLikePAN(word) || looksLikePAN(grouped) {
			return &exitError{
				code: exitUsage, reason: "CARD_DATA",
				next: "give it on standard input or at the prompt of cardvault card tokenize, and clear your shell's history",
				err:  errors.New("the command line holds a card number"),
			}
		}
	}
	return nil
}

// splitFlags makes two words of --flag=value.
func splitFlags(args []string) []string {
	words := make([]string, 0, len(args))
	for _, arg := range args {
		name, value, found := strings.Cut(arg, "=")
		if found && strings.HasPrefix(name, "-") {
			words = append(words, name, value)
		} else {
			words = append(words, arg)
		}
	}
	return words
}

// takesFreeDigits names the flags of `bin create` whose values are parts of PANs
// and may pass the Luhn check by chance.
func takesFreeDigits(flag string) bool {
	switch strings.TrimLeft(flag, "-") {
	case "first", "last", "reserve":
		return true
	default:
		return false
	}
}

// looksLikePAN reports whether s is 12 to 19 digits, perhaps grouped by spaces or
// hyphens, with a valid check digit. A digit token fails that check on purpose, and a UUID has
// too many characters.
func looksLikePAN(s string) bool {
	_, err := pan.Parse(strings.NewReplacer(" ", "", "-", "").Replace(s))
	return err == nil
}
