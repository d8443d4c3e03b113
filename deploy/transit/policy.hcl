# What cardvault may do in transit, and no more. It wraps and unwraps its keys
# under one key-encryption key, and reads that key's properties to refuse a weak
# one. It can neither make, rotate, configure, export, back up nor delete keys:
# that is for the security team, with a policy of its own.
#
#   vault policy write cardvault deploy/transit/policy.hcl
#
# Put the names of your mount and key in place of transit and cardvault.

path "transit/encrypt/cardvault" {
  capabilities = ["update"]
}

path "transit/decrypt/cardvault" {
  capabilities = ["update"]
}

path "transit/keys/cardvault" {
  capabilities = ["read"]
}

# Its own token: look at it and renew it.
path "auth/token/lookup-self" {
  capabilities = ["read"]
}

path "auth/token/renew-self" {
  capabilities = ["update"]
}
