# What cardvault may do in transit, and no more. It wraps and unwraps its keys
# under one key-encryption key, signs the checkpoints of its audit log with
# another, and reads the properties of both to refuse weak ones. It can neither
# make, rotate, configure, export, back up nor delete keys: that is for the security
# team, with a policy of its own.
#
#   vault policy write cardvault deploy/transit/policy.hcl
#
# Put the names of your mount and keys in place of transit, cardvault and
# cardvault-audit.

path "transit/encrypt/cardvault" {
  capabilities = ["update"]
}

path "transit/decrypt/cardvault" {
  capabilities = ["update"]
}

path "transit/keys/cardvault" {
  capabilities = ["read"]
}

path "transit/sign/cardvault-audit" {
  capabilities = ["update"]
}

path "transit/keys/cardvault-audit" {
  capabilities = ["read"]
}

# Its own token: look at it and renew it.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}
