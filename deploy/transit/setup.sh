#!/bin/sh
# Makes the keys that cardvault asks for, in HashiCorp Vault or OpenBao, with its
# least-privilege policy and an AppRole: the key-encryption key, and the key that
# signs the audit log. Run it once, as someone who may: VAULT_ADDR and VAULT_TOKEN
# are set, and `vault` (or VAULT=bao) is there.
# With CIDRS, such as 10.1.2.0/28,10.1.3.7/32, the AppRole works from there alone.
set -eu

vault=${VAULT:-vault}
mount=${MOUNT:-transit}
key=${KEY:-cardvault}
audit_key=${AUDIT_KEY:-cardvault-audit}
here=$(dirname "$0")

"$vault" secrets list -format=json | grep -q "\"$mount/\"" || "$vault" secrets enable -path="$mount" transit

# derived: wrapping binds each key's purpose, tenant and id. Never exportable, never
# backed up in plaintext, never deletable: cardvault refuses to start with one that
# is.
"$vault" write -f "$mount/keys/$key" type=aes256-gcm96 derived=true exportable=false allow_plaintext_backup=false

# Whoever verifies the audit log trusts this key: what is true of the other is true of
# it.
"$vault" write -f "$mount/keys/$audit_key" type=ed25519 exportable=false allow_plaintext_backup=false

sed "s#\"transit/#\"$mount/#; s#/cardvault\"#/$key\"#; s#/cardvault-audit\"#/$audit_key\"#" "$here/policy.hcl" | "$vault" policy write cardvault -

"$vault" auth list -format=json | grep -q '"approle/"' || "$vault" auth enable approle
set -- token_policies=cardvault token_no_default_policy=true token_period=1h
if [ -n "${CIDRS:-}" ]; then
  set -- "$@" secret_id_bound_cidrs="$CIDRS" token_bound_cidrs="$CIDRS"
fi
"$vault" write auth/approle/role/cardvault "$@"

"$vault" read -field=role_id auth/approle/role/cardvault/role-id
echo "now write a secret id to the file of transit.auth.approle.secret_id_file:" >&2
echo "  $vault write -f -field=secret_id auth/approle/role/cardvault/secret-id" >&2
