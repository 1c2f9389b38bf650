//! The fence, rule by rule (T-53).

use super::*;
use crate::adapters::oci::InsecureHosts;

fn fence() -> Fence {
    let insecure = InsecureHosts::parse(["plain.example.com", "10.0.0.0/8"]).unwrap();
    Fence::new(
        insecure,
        vec![(
            "registry.partner.io".to_owned(),
            "login.identity.net".to_owned(),
        )],
    )
}

fn base(registry: &str) -> Url {
    fence().base(registry).unwrap()
}

#[test]
fn docker_hub_is_asked_where_it_answers() {
    assert_eq!(
        base("docker.io").as_str(),
        "https://registry-1.docker.io/v2/"
    );
    assert_eq!(
        base("registry.example.com:5000").as_str(),
        "https://registry.example.com:5000/v2/"
    );
    assert_eq!(base("localhost:5000").as_str(), "http://localhost:5000/v2/");
    assert_eq!(
        base("plain.example.com").as_str(),
        "http://plain.example.com/v2/"
    );
    assert_eq!(base("[::1]:5000").as_str(), "http://[::1]:5000/v2/");
}

#[test]
fn what_is_not_a_host_is_no_registry() {
    for registry in [
        "",
        "user@example.com",
        "a/b",
        "exa mple",
        "example.com?x",
        "example.com#x",
    ] {
        assert!(fence().base(registry).is_err(), "{registry:?}");
    }
}

#[test]
fn credentials_go_to_the_same_host_and_the_same_registrable_domain_only() {
    let trusted = |registry: &str, realm: &str| {
        fence()
            .realm(&base(registry), Class::Public, realm)
            .map(|realm| realm.is_trusted)
    };
    for (registry, realm) in [
        ("docker.io", "https://auth.docker.io/token"),
        ("registry.gitlab.com", "https://gitlab.com/jwt/auth"),
        ("registry.access.redhat.com", "https://sso.redhat.com/auth"),
        ("foo.azurecr.io", "https://foo.azurecr.io/oauth2/token"),
        (
            "registry.example.com:5000",
            "https://registry.example.com:5001/token",
        ),
        ("registry.partner.io", "https://login.identity.net/token"),
        ("10.1.2.3:5000", "http://10.1.2.3:5001/token"),
    ] {
        assert_eq!(trusted(registry, realm), Ok(true), "{registry} {realm}");
    }
    for (registry, realm) in [
        ("docker.io", "https://auth.docker.io.evil.tld/token"),
        ("docker.io", "https://evil.tld/auth.docker.io"),
        ("registry.example.co.uk", "https://evil.co.uk/token"),
        ("victim.github.io", "https://evil.github.io/token"),
        (
            "registry.partner.io",
            "https://login.identity.net.evil.tld/token",
        ),
        ("10.1.2.3:5000", "https://10.1.2.4/token"),
    ] {
        assert_eq!(trusted(registry, realm), Ok(false), "{registry} {realm}");
    }
}

#[test]
fn token_services_over_plain_http_or_with_a_user_are_refused() {
    for (registry, realm) in [
        ("registry.example.com", "http://registry.example.com/token"),
        ("registry.example.com", "http://plain.example.com/token"),
        ("plain.example.com", "http://auth.example.com/token"),
        ("localhost:5000", "http://127.0.0.1:5001/token"),
        (
            "registry.example.com",
            "https://user:secret@registry.example.com/token",
        ),
        ("registry.example.com", "ftp://registry.example.com/token"),
        ("registry.example.com", "/token"),
        ("registry.example.com", ""),
    ] {
        assert!(
            fence()
                .realm(&base(registry), Class::Public, realm)
                .is_err(),
            "{registry} {realm}"
        );
    }
}

#[test]
fn a_foreign_or_neighbouring_realm_of_a_public_registry_may_not_be_private() {
    let scope = |origin, realm: &str| {
        fence()
            .realm(&base("registry.example.com"), origin, realm)
            .unwrap()
            .scope
    };
    assert_eq!(
        scope(Class::Public, "https://registry.example.com/t"),
        Scope::AsWritten
    );
    assert_eq!(
        scope(Class::Public, "https://auth.example.com/t"),
        Scope::FromPublic
    );
    assert_eq!(
        scope(Class::Private, "https://auth.example.com/t"),
        Scope::FromPrivate
    );
    assert_eq!(
        scope(Class::Private, "https://elsewhere.net/t"),
        Scope::FromPublic
    );
}

#[test]
fn redirects_do_not_give_up_https_nor_reach_loopback() {
    let registry = base("registry.example.com");
    let to = |location: &str| fence().redirect(&registry, &registry, Scope::FromPublic, location);
    assert_eq!(to("/elsewhere").unwrap().1, Scope::AsWritten);
    assert_eq!(
        to("https://storage.net/x?sig=1").unwrap(),
        (
            Url::parse("https://storage.net/x?sig=1").unwrap(),
            Scope::FromPublic
        )
    );
    assert!(to("http://plain.example.com/x").is_ok());
    for location in [
        "http://registry.example.com/x",
        "http://storage.net/",
        "https://127.0.0.1/",
        "https://localhost:8443/",
        "http://[::1]/",
        "file:///etc/passwd",
        "https://u:p@storage.net/",
        "https://",
    ] {
        assert!(to(location).is_err(), "{location}");
    }
    assert!(to(&format!("https://storage.net/{}", "x".repeat(URL_BYTES))).is_err());
}

#[test]
fn nobody_may_lead_to_the_host_of_a_proxy_but_who_is_asked_there() {
    let fence = fence().beside_proxies(["proxy.example.com".to_owned(), "10.9.9.9".to_owned()]);
    let registry = fence.base("registry.example.com").unwrap();
    for target in [
        "https://proxy.example.com/x",
        "https://PROXY.example.com:8443/x",
        "https://proxy.example.com./x",
        "https://10.9.9.9:3128/x",
    ] {
        let led = fence.redirect(&registry, &registry, Scope::FromPrivate, target);
        assert_eq!(led.unwrap_err().rule, PROXY_RULE, "{target}");
        let realm = fence.realm(&registry, Class::Private, target);
        assert_eq!(realm.unwrap_err().rule, PROXY_RULE, "{target}");
    }
    // A registry on that host is asked as it is written, and stays there.
    let both = fence.base("proxy.example.com").unwrap();
    assert!(
        fence
            .redirect(&both, &both, Scope::FromPublic, "/x")
            .is_ok()
    );
    assert!(
        fence
            .realm(&both, Class::Private, "https://proxy.example.com/token")
            .is_ok()
    );
    assert!(
        fence
            .redirect(
                &registry,
                &registry,
                Scope::FromPublic,
                "https://proxy.example.com.net/x"
            )
            .is_ok()
    );
}

#[test]
fn numeric_spellings_of_an_address_are_seen_through() {
    let written = |text: &str| class_as_written(&Url::parse(text).unwrap());
    for text in [
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0251.0376.0251.0376/",
        "http://[::ffff:a9fe:a9fe]/",
    ] {
        assert_eq!(written(text), Some(Class::Forbidden), "{text}");
    }
    assert_eq!(written("https://example.com/"), None);
}

#[test]
fn messages_carry_no_secret_and_nothing_invisible() {
    let registry = base("registry.example.com");
    for location in [
        "https://user:hunter2@storage.net/",
        "https://user:hunter2@:99999/",
        "https://storage.net:99999/?signature=hunter2",
        "ftp://user:hunter2@storage.net/#hunter2",
    ] {
        let refusal = fence()
            .redirect(&registry, &registry, Scope::FromPublic, location)
            .unwrap_err();
        assert!(!refusal.target.contains("hunter2"), "{refusal:?}");
    }
    assert_eq!(printable("a\u{1b}[31m\u{202e}b\n"), "a?[31m?b?");
    assert_eq!(printable(&"x".repeat(1_000)).len(), 200);
}

#[test]
fn an_origin_is_scheme_host_and_port() {
    let same = |a: &str, b: &str| is_same_origin(&Url::parse(a).unwrap(), &Url::parse(b).unwrap());
    assert!(same("https://a/x", "https://A:443/y"));
    assert!(!same("https://a/", "http://a/"));
    assert!(!same("https://a/", "https://a:444/"));
    assert!(!same("https://a/", "https://b/"));
}
