// Package access decides who may do what, for which purpose and with which view.
//
// A [Policy] is a file in the Cedar language. [Parse] checks it against the
// schema in schema.cedarschema, so that a policy which names an action, attribute,
// entity type or view that does not exist never loads: a mistyped permit would
// only deny too much, but a mistyped forbid would deny nothing. [Policy.Decide] is
// a pure function of policy and [Request].
//
// What a policy can speak of:
//
//	principal  Principal::"<tenant>/<name>" in Tenant::"<tenant>",
//	           with the attributes name and tenant; or one of the
//	           deployment's staff, Staff::"<name>", whose tenant is ""
//	action     Action::"<RPC>"; a batch or stream asks for the action of its items
//	resource   Tenant::"<tenant>", always the caller's own; of staff,
//	           Deployment::"cardvault"
//	context    DetokenizeCard: purpose, a string, and
//	           view, View::"LAST_FOUR", View::"MASKED" or View::"FULL";
//	           IssueCard, CreateBinRange, GetBinRange, PauseBinRange and
//	           ResumeBinRange: bin_range, the range's id;
//	           other actions: nothing
//
// Staff reads the audit log and the list of keys and does nothing with cards, and
// ReadLog and ListKeys, which show what is every tenant's, are for staff alone: no
// policy can say otherwise.
//
// Everything is denied unless a policy permits it: by a nil or zero Policy, to a
// request without a tenant, a principal or something its action's context has, to
// an action that does not exist, and where a policy cannot be evaluated. A forbid
// outweighs every permit.
package access
