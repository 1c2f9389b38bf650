//! `Link`: a next page is a page of the same list of the same repository (T-53).

#![no_main]

use libfuzzer_sys::fuzz_target;
use vouchsafe::adapters::oci::fuzzing::next_page;
use vouchsafe::image::{Digest, Repository};

fuzz_target!(|link: &[u8]| {
    let repository = Repository::parse("registry.example.com/shop/cart").expect("a repository");
    let subject = Digest::sha256_of(b"image");
    let Some(path) = next_page(link, &repository, &subject) else {
        return;
    };
    let query = path
        .strip_prefix(&format!("referrers/{subject}?"))
        .expect("the list itself");
    assert!(query.len() <= 4096);
    assert!(
        query
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'#'),
        "{query:?}"
    );
});
