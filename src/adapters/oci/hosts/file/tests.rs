//! What the file may say, and how a file that says something else is told.

use tempfile::TempDir;

use super::*;

/// A folder with `registries.yaml`, and what else it names.
struct Desk(TempDir);

impl Desk {
    fn new(text: &str) -> Self {
        let desk = Self(TempDir::new().unwrap());
        desk.file("registries.yaml", text);
        desk
    }

    fn file(&self, name: &str, content: &str) {
        std::fs::write(self.0.path().join(name), content).unwrap();
    }

    /// A certificate and its key, in `NAME.pem` and `NAME.key`.
    fn certificate(&self, name: &str) -> String {
        let rcgen::CertifiedKey { cert, signing_key } =
            rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        self.file(&format!("{name}.pem"), &cert.pem());
        self.file(&format!("{name}.key"), &signing_key.serialize_pem());
        cert.pem()
    }

    fn load(&self) -> Result<LoadedRegistries, RegistriesError> {
        load_registries(&self.0.path().join("registries.yaml"))
    }

    fn hosts(&self) -> RegistryHosts {
        self.load().unwrap().hosts
    }

    /// Every problem, without the folder.
    fn problems(&self) -> Vec<String> {
        let folder = format!("{}/", self.0.path().display());
        let error = self.load().err().map(|error| error.problems);
        let problems = error.unwrap_or_default().into_iter();
        problems
            .map(|problem| problem.replace(&folder, ""))
            .collect()
    }
}

fn settings(hosts: &RegistryHosts, host: &str) -> Arc<HostSettings> {
    let url = Url::parse(&format!("https://{host}/v2/")).unwrap();
    hosts.of(&url).cloned().unwrap_or_default()
}

#[test]
fn everything_that_may_be_said_is_read() {
    let desk = Desk::new(
        r#"
registries:
  - host: registry.example.com:5000
    ca: ca.pem
    clientCert: {cert: us.pem, key: us.key}
    insecure: false
    proxy: http://robot:hunter2@proxy.example.com:3128
    credentials: {username: robot, passwordFile: password}
    mirrors:
      - host: mirror.example.com/hub/
      - {host: "10.0.0.1:5000", authoritative: true}
      - {host: localhost, digestOnly: true}
  - host: "*.lab.example.com"
    insecure: true
    proxy: none
  - host: docker.io
    credentials: {dockerConfig: config.json}
"#,
    );
    desk.certificate("ca");
    desk.certificate("us");
    desk.file("password", "hunter2\n");
    desk.file(
        "config.json",
        r#"{"auths":{"https://index.docker.io/v1/":{"auth":"dTpw"},"ghcr.io":{"auth":"dTpw"}}}"#,
    );
    let hosts = desk.hosts();
    assert_eq!(hosts.len(), 3);

    let main = settings(&hosts, "registry.example.com:5000");
    assert_eq!(main.authorities.len(), 1);
    assert!(main.client_certificate.is_some());
    assert_eq!(main.plain_http, Some(false));
    let entry = main.credentials.first().unwrap();
    assert_eq!(
        entry.credential,
        Credential::of_user("robot".to_owned(), "hunter2".to_owned())
    );
    let mirrors: Vec<String> = main.mirrors.iter().map(ToString::to_string).collect();
    assert_eq!(
        mirrors,
        ["mirror.example.com/hub", "10.0.0.1:5000", "localhost"]
    );
    let shown = format!("{main:?}");
    assert!(!shown.contains("hunter2"), "{shown}");

    let lab = settings(&hosts, "a.lab.example.com");
    assert_eq!(
        (lab.plain_http, &lab.proxy),
        (Some(true), &ProxyChoice::Direct)
    );
    let hub = settings(&hosts, "registry-1.docker.io");
    assert_eq!(hub.credentials.len(), 1, "only what is for this host");
    assert!(
        settings(&hosts, "registry.example.com")
            .credentials
            .is_empty()
    );
}

#[test]
fn a_certificate_may_stand_in_the_file_itself() {
    let desk = Desk::new("");
    let pem = desk.certificate("ca").replace('\n', "\n      ");
    desk.file(
        "registries.yaml",
        &format!("registries:\n  - host: a.example.com\n    ca: |\n      {pem}\n"),
    );
    let hosts = desk.hosts();
    assert_eq!(settings(&hosts, "a.example.com").authorities.len(), 1);
}

#[test]
fn the_most_exact_entry_counts_and_no_other() {
    let desk = Desk::new(
        r#"
registries:
  - {host: "*.example.com", insecure: true}
  - {host: "*.lab.example.com", proxy: none}
  - {host: a.lab.example.com, insecure: false}
"#,
    );
    let hosts = desk.hosts();
    let said = |host: &str| settings(&hosts, host).plain_http;
    assert_eq!(said("x.example.com"), Some(true));
    assert_eq!(said("x.lab.example.com"), None);
    assert_eq!(said("a.lab.example.com"), Some(false));
    assert_eq!(said("example.com"), None);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let desk = Desk::new(
        r#"registries:
  - host: https://a.example.com
  - host: b.example.com
    ca: missing.pem
    proxy: ftp://user:hunter2@proxy
    credentials: {username: robot}
    mirrors:
      - host: b.example.com
      - {host: c.example.com, authoritative: true, digestOnly: true}
      - host: Not/A/Path
  - host: B.example.com:443
  - host: "*.d.example.com"
    credentials: {username: robot, passwordFile: password}
    mirrors: [{host: c.example.com}]
  - host: e.example.com
    clientCert: {cert: us.pem, key: other.key}
  - host: f.example.com
    credentials: {dockerConfig: config.json}
"#,
    );
    desk.certificate("us");
    desk.certificate("other");
    desk.file("password", "hunter2");
    desk.file(
        "config.json",
        r#"{"auths":{"f.example.com.evil.tld":{"auth":"dTpw"}}}"#,
    );
    let problems = desk.problems();
    insta::assert_snapshot!(problems.join("\n"));
    assert!(!problems.join("\n").contains("hunter2"));
}

#[test]
fn a_file_of_another_shape_is_told_with_its_place() {
    let told: Vec<String> = [
        "registries:\n  - host: a.example.com\n    cas: a.pem\n",
        "registries:\n  - host: a.example.com\n    mirrors: [{host: b.example.com, path: x}]\n",
        "registries:\n  - host: a.example.com\n    host: b.example.com\n",
        "registries:\n  - ca: a.pem\n",
        "registries: {a.example.com: {}}\n",
        "registry: []\n",
        "registries: [\n",
        "",
    ]
    .into_iter()
    .flat_map(|text| Desk::new(text).problems())
    .collect();
    insta::assert_snapshot!(told.join("\n"));
}

/// T-38: a repository's name is written behind that of a mirror, and leads nowhere else.
#[test]
fn t38_no_path_leads_out_of_a_mirror() {
    for mirror in [
        "m.example.com/..",
        "m.example.com/a/../b",
        "m.example.com/%2e%2e",
        "m.example.com/a?b",
        "m.example.com//a",
    ] {
        let desk = Desk::new(&format!(
            "registries: [{{host: a.example.com, mirrors: [{{host: \"{mirror}\"}}]}}]"
        ));
        assert_eq!(desk.problems().len(), 1, "{mirror}");
    }
    let mirror = Mirror {
        host: "m.example.com".to_owned(),
        prefix: "hub".to_owned(),
        authoritative: false,
        digest_only: false,
    };
    let of = |name: &str| {
        mirror
            .of(&Repository::parse(name).unwrap())
            .map(|found| found.to_string())
    };
    assert_eq!(
        of("nginx").as_deref(),
        Some("m.example.com/hub/library/nginx")
    );
    // Too long together, where it is not too long alone.
    assert_eq!(of(&format!("a.example.com/{}", "a".repeat(253))), None);
}

#[test]
fn a_file_that_is_not_there_is_told() {
    let error = load_registries(Path::new("/nonexistent/registries.yaml")).unwrap_err();
    let told = error.to_string();
    assert!(
        told.starts_with("/nonexistent/registries.yaml: cannot be read: "),
        "{told}"
    );
}

#[test]
fn the_fingerprint_changes_with_every_file_that_is_named() {
    let desk = Desk::new(
        "registries: [{host: a.example.com, credentials: {usernameFile: user, passwordFile: password}}]",
    );
    desk.file("user", "robot");
    let before = read(&desk.0.path().join("registries.yaml")).0;
    desk.file("password", "one");
    let with_one = desk.load().unwrap().fingerprint;
    desk.file("password", "two");
    let with_two = desk.load().unwrap().fingerprint;
    assert!(before != with_one && with_one != with_two);
    assert_eq!(desk.load().unwrap().fingerprint, with_two);
}
