package ship

import "encoding/json"

// The classification of OCSF: category Application Activity, class API Activity.
// type_uid is class_uid × 100 + activity_id.
const (
	ocsfVersion  = "1.3.0"
	ocsfCategory = 6
	ocsfClass    = 6003
)

// AppendOCSF appends the event as an API Activity of the Open Cybersecurity Schema
// Framework, https://schema.ocsf.io/1.3.0/classes/api_activity. raw_data is the
// entry as it was hashed, and metadata.sequence its index in the log. An entry that
// was dropped has no time but 0.
func AppendOCSF(dst []byte, e *Event) []byte {
	text, _ := json.Marshal(newOCSF(e)) // strings and numbers always encode
	return append(dst, text...)
}

type ocsfEvent struct {
	ActivityID   int               `json:"activity_id"`
	ActivityName string            `json:"activity_name"`
	CategoryUID  int               `json:"category_uid"`
	CategoryName string            `json:"category_name"`
	ClassUID     int               `json:"class_uid"`
	ClassName    string            `json:"class_name"`
	TypeUID      int               `json:"type_uid"`
	TypeName     string            `json:"type_name"`
	SeverityID   int               `json:"severity_id"`
	Severity     string            `json:"severity"`
	StatusID     int               `json:"status_id"`
	Status       string            `json:"status"`
	StatusCode   string            `json:"status_code,omitempty"`
	Time         int64             `json:"time"`
	Message      string            `json:"message"`
	Metadata     ocsfMetadata      `json:"metadata"`
	Actor        ocsfActor         `json:"actor"`
	API          ocsfAPI           `json:"api"`
	SrcEndpoint  ocsfEndpoint      `json:"src_endpoint"`
	Resources    []ocsfResource    `json:"resources,omitempty"`
	RawData      string            `json:"raw_data,omitempty"`
	Unmapped     map[string]string `json:"unmapped"`
}

type ocsfMetadata struct {
	Version   string      `json:"version"`
	Product   ocsfProduct `json:"product"`
	UID       string      `json:"uid,omitempty"`
	Sequence  int64       `json:"sequence"`
	LogName   string      `json:"log_name"`
	EventCode string      `json:"event_code"`
	TenantUID string      `json:"tenant_uid,omitempty"`
}

type ocsfProduct struct {
	Name       string `json:"name"`
	VendorName string `json:"vendor_name"`
}

type ocsfActor struct {
	User ocsfUser `json:"user"`
}

type ocsfUser struct {
	Name          string `json:"name"`
	UID           string `json:"uid,omitempty"`
	CredentialUID string `json:"credential_uid,omitempty"`
	TypeID        int    `json:"type_id"`
	Type          string `json:"type"`
}

type ocsfAPI struct {
	Operation string        `json:"operation"`
	Service   ocsfEntity    `json:"service"`
	Request   *ocsfRequest  `json:"request,omitempty"`
	Response  *ocsfResponse `json:"response,omitempty"`
}

type ocsfEntity struct {
	Name string `json:"name"`
}

type ocsfRequest struct {
	UID string `json:"uid"`
}

type ocsfResponse struct {
	Error   string `json:"error,omitempty"`
	Message string `json:"message,omitempty"`
}

// ocsfEndpoint is required; the log records who called, not from which address.
type ocsfEndpoint struct {
	Name    string `json:"name"`
	SvcName string `json:"svc_name,omitempty"`
}

type ocsfResource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

func newOCSF(e *Event) *ocsfEvent {
	activity, name := ocsfActivity(e.action())
	o := &ocsfEvent{
		ActivityID: activity, ActivityName: name,
		CategoryUID: ocsfCategory, CategoryName: "Application Activity",
		ClassUID: ocsfClass, ClassName: "API Activity",
		TypeUID: ocsfClass*100 + activity, TypeName: "API Activity: " + name,
		Message: cefName(e),
		Metadata: ocsfMetadata{
			Version: ocsfVersion, Product: ocsfProduct{"cardvault", "cardvault"},
			Sequence: e.Index, LogName: "audit", EventCode: e.action(),
		},
		API:      ocsfAPI{Operation: e.action(), Service: ocsfEntity{"cardvault"}},
		Unmapped: map[string]string{"leaf_hash": e.Leaf.String()},
	}
	o.setOutcome(e)
	if e.Dropped() {
		o.setCaller("", "")
		return o
	}
	o.setEntry(e)
	return o
}

func (o *ocsfEvent) setOutcome(e *Event) {
	o.SeverityID, o.Severity, o.StatusID, o.Status = 1, "Informational", 1, "Success"
	switch e.outcome() {
	case failed:
		o.SeverityID, o.Severity, o.StatusID, o.Status = 2, "Low", 2, "Failure"
	case denied:
		o.SeverityID, o.Severity, o.StatusID, o.Status = 3, "Medium", 2, "Failure"
	case succeeded:
	}
}

// setCaller names the principal, or cardvault itself.
func (o *ocsfEvent) setCaller(principal, certificate string) {
	if principal == "" {
		o.Actor.User = ocsfUser{Name: "cardvault", TypeID: 3, Type: "System"}
		o.SrcEndpoint = ocsfEndpoint{Name: "cardvault", SvcName: "cardvault"}
		return
	}
	o.Actor.User = ocsfUser{Name: principal, UID: principal, CredentialUID: certificate, TypeID: 1, Type: "User"}
	o.SrcEndpoint = ocsfEndpoint{Name: principal}
}

func (o *ocsfEvent) setEntry(e *Event) {
	a := &e.Entry
	o.Time = a.Time.UnixMilli()
	o.StatusCode, o.RawData = a.Result, string(e.Body)
	o.setCaller(a.Principal, a.CertSerial)
	o.API.Response = &ocsfResponse{Message: a.Result}
	if e.outcome() != succeeded {
		o.API.Response = &ocsfResponse{Error: a.Result}
	}
	for _, f := range e.fields() {
		switch f.name {
		case "principal", "certificate_serial", "action", "result":
		case "tenant":
			o.Metadata.TenantUID = f.value
		case "request_id":
			o.API.Request = &ocsfRequest{f.value}
		case "card_id", "key_id", "bin_range":
			o.Resources = append(o.Resources, ocsfResource{f.name, f.value})
		default:
			o.Unmapped[f.name] = f.value
		}
	}
	o.Metadata.UID = o.Unmapped["replica"] + "/" + o.Unmapped["number"]
}

// ocsfActivity sorts actions into those of API Activity.
func ocsfActivity(action string) (int, string) {
	switch action {
	case "IssueCard", "TokenizeCard", "CreateToken", "CreateBinRange", "CreateKey":
		return 1, "Create"
	case "DetokenizeCard", "GetCard", "ListCards", "ListTokens", "GetBinRange", "ListBinRanges",
		"ListEntries", "GetCheckpoint", "GetEntry", "GetInclusionProof", "GetConsistencyProof", "ReadLog":
		return 2, "Read"
	case "SuspendCard", "ResumeCard", "CloseCard", "RenewCard", "PauseBinRange", "ResumeBinRange", "StopBinRange", "SetPolicy":
		return 3, "Update"
	case "DeleteCard", "RevokeToken", "PruneLog":
		return 4, "Delete"
	default:
		return 99, "Other"
	}
}
