//! Docker configs: an entry answers for its own host, and nothing that is shown shows a secret (T-16).

#![no_main]

use libfuzzer_sys::fuzz_target;
use vouchsafe::adapters::oci::{entries_from_dockercfg, entries_from_dockerconfigjson};
use vouchsafe::gather::keychain::{Credential, Keychain};
use vouchsafe::image::Repository;

fuzz_target!(|bytes: &[u8]| {
    for read in [entries_from_dockerconfigjson, entries_from_dockercfg] {
        let Ok(entries) = read(bytes, "secret shop/regcred") else {
            continue;
        };
        for entry in &entries {
            let secret = match &entry.credential {
                Credential::Basic { password, .. } => password,
                Credential::IdentityToken(token) | Credential::RegistryToken(token) => token,
            };
            let shown = format!("{:?}", entry.credential);
            let shown = match &entry.credential {
                Credential::Basic { username, .. } => shown.replace(&format!("{username:?}"), ""),
                _ => shown,
            };
            // A secret may be a part of the words that stand there anyway.
            let words = [
                "Basic { username: , password: *** }",
                "IdentityToken(***)",
                "RegistryToken(***)",
            ];
            assert!(
                words.contains(&shown.as_str()) || !shown.contains(secret.as_str()),
                "{shown}"
            );
        }
        let keychain = Keychain::new(entries);
        for repository in ["registry.example.com/shop/cart", "docker.io/library/nginx"] {
            let repository = Repository::parse(repository).expect("a repository");
            for entry in keychain.for_repository(&repository) {
                assert!(keychain.entries().contains(entry));
            }
        }
        assert_eq!(
            keychain.id(),
            Keychain::new(keychain.entries().to_vec()).id()
        );
    }
});
