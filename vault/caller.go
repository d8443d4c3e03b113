package vault

// Caller is who asks: read from the client certificate by the server, never from
// a request. Every method of Vault takes one first. The zero Caller may do
// nothing.
type Caller struct {
	// SPIFFE is the one URI SAN of the certificate:
	// spiffe://<trust domain>/tenant/<tenant>/<name>, or of staff
	// spiffe://<trust domain>/staff/<name>.
	SPIFFE string
	// Tenant whose cards the caller can reach; it sees no others. Staff has none.
	Tenant string
	// Staff: the caller is of the deployment itself. It can be allowed to read the
	// audit log and the list of keys of all tenants, and nothing else.
	Staff bool
	// Name of the principal within its tenant or among the staff, as policy and bound
	// tokens name it.
	Name string
	// CertSerial is the certificate's serial number, hexadecimal.
	CertSerial string
}

// known reports whether the caller is somebody: of a tenant or of the staff, and
// never of both.
func (c Caller) known() bool { return c.Name != "" && c.Staff == (c.Tenant == "") }
