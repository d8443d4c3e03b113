package vault

// Caller is who asks: read from the client certificate by the server, never from
// a request. Every method of Vault takes one first. The zero Caller may do
// nothing.
type Caller struct {
	// SPIFFE is the one URI SAN of the certificate:
	// spiffe://<trust domain>/tenant/<tenant>/<name>.
	SPIFFE string
	// Tenant whose cards the caller can reach; it sees no others.
	Tenant string
	// Name of the principal within its tenant, as policy and bound tokens name it.
	Name string
	// CertSerial is the certificate's serial number, hexadecimal.
	CertSerial string
}
