package ship

import "strconv"

// The limits of RFC 5424 §6.
const (
	maxHostname = 255
	maxPROCID   = 128
	maxMSGID    = 32
)

// sdID names the structured data. cardvault has no private enterprise number; 32473
// is the one for examples (RFC 5612), which nobody else's software claims.
const sdID = "cardvault@32473"

// syslogTime has at most six decimals (RFC 5424 §6.2.3).
const syslogTime = "2006-01-02T15:04:05.000000Z"

// AppendSyslog appends a syslog message (RFC 5424): facility 13, log audit;
// severity informational, notice for what failed and warning for what was denied;
// the replica as PROCID, the action as MSGID, the entry's fields as structured data
// and the encoder's line as MSG.
//
// In structured data control characters become U+FFFD, for collectors that write
// one line for each message; MSG has the values whole.
func AppendSyslog(dst []byte, e *Event, hostname string, message Encoder) []byte {
	const facility = 13
	dst = append(dst, '<')
	dst = strconv.AppendInt(dst, facility*8+[]int64{6, 5, 4}[e.outcome()], 10)
	dst = append(dst, ">1 "...)
	if e.Dropped() {
		dst = append(dst, '-')
	} else {
		dst = e.Entry.Time.UTC().AppendFormat(dst, syslogTime)
	}
	dst = appendHeader(append(dst, ' '), hostname, maxHostname)
	dst = append(dst, " cardvault "...)
	dst = appendHeader(dst, id(e.Entry.Replica), maxPROCID)
	dst = appendHeader(append(dst, ' '), e.action(), maxMSGID)
	dst = append(dst, " ["+sdID...)
	dst = appendParam(dst, "log_index", strconv.FormatInt(e.Index, 10))
	dst = appendParam(dst, "leaf_hash", e.Leaf.String())
	for _, f := range e.fields() {
		dst = appendParam(dst, f.name, f.value)
	}
	dst = append(dst, "] "...)
	return message(dst, e)
}

// appendHeader appends a field of the header: printable ASCII without blanks, or
// the nil value.
func appendHeader(dst []byte, value string, limit int) []byte {
	if value == "" {
		return append(dst, '-')
	}
	for i := range min(len(value), limit) {
		c := value[i]
		if c <= ' ' || c > '~' {
			c = '?'
		}
		dst = append(dst, c)
	}
	return dst
}

// appendParam appends an SD-PARAM. §6.3.3: in values ", \ and ] are escaped.
func appendParam(dst []byte, name, value string) []byte {
	dst = append(append(append(dst, ' '), name...), `="`...)
	return append(appendEscaped(dst, value, `"\]`), '"')
}

// AppendFrame appends a message as RFC 5425 §4.3 transfers it: its length in
// octets, a blank, and itself.
func AppendFrame(dst, message []byte) []byte {
	dst = strconv.AppendInt(dst, int64(len(message)), 10)
	return append(append(dst, ' '), message...)
}
