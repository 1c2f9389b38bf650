//! Credential helpers of the docker config: programs that somebody else wrote.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use crate::stage::Stage;
use crate::support::command::Ended;

/// A registry that only `robot` may read, and a docker config whose `credsStore` is this helper.
async fn with_helper(name: &str, script: &str) -> Stage {
    let stage = Stage::new().await;
    stage.signed("t/app");
    stage.signed("t/till");
    stage.registry.require_basic("robot", "hunter2");
    let program = stage.file(&format!("docker-credential-{name}"), script);
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    stage.file("config.json", &format!(r#"{{"credsStore":"{name}"}}"#));
    stage
}

fn verify(stage: &Stage, rest: &[&str]) -> Ended {
    let folder = stage.folder().to_str().unwrap();
    let path = format!("{folder}:/usr/bin:/bin");
    let environment = [("PATH", path.as_str()), ("DOCKER_CONFIG", folder)];
    let image = stage.registry.reference("t/app:v1").to_string();
    stage.verify(&image, rest, &environment)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_is_asked_once_for_all_images_of_its_registry() {
    let script = r#"#!/bin/sh
read -r host
echo "$host" >> "$(dirname "$0")/asked"
echo '{"ServerURL":"x","Username":"robot","Secret":"hunter2"}'
"#;
    let stage = with_helper("store", script).await;
    let other = stage.registry.reference("t/till:v1").to_string();
    let ended = verify(&stage, &[&other]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let asked = std::fs::read_to_string(stage.folder().join("asked")).unwrap();
    assert_eq!(asked, format!("{}\n", stage.registry.host()));
}

/// It is killed; the answer is that the registry refuses us, and nothing is called unsigned.
#[tokio::test(flavor = "multi_thread")]
async fn a_helper_that_hangs_is_ended() {
    let script = "#!/bin/sh\nexec sleep 600\n";
    let stage = with_helper("store", script).await;
    let started = Instant::now();
    let ended = verify(&stage, &[]);
    assert_eq!(ended.code, 3, "{ended:?}");
    assert!(ended.stdout.contains("registry-auth"), "{ended:?}");
    assert!(
        started.elapsed() < Duration::from_secs(15),
        "{:?}",
        started.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_helper_that_fails_or_babbles_has_no_credentials_and_is_not_repeated() {
    for script in [
        "#!/bin/sh\necho credentials not found hunter2; exit 1\n",
        "#!/bin/sh\necho '{\"Username\":\"robot\",\"Secret\":\"hunter2\"}'; exit 1\n",
        "#!/bin/sh\necho hunter2\n",
        "#!/bin/sh\nhead -c 1000000 /dev/zero\n",
    ] {
        let stage = with_helper("store", script).await;
        let ended = verify(&stage, &[]);
        assert_eq!(ended.code, 3, "{script}: {ended:?}");
        assert!(ended.stdout.contains("registry-auth"), "{ended:?}");
        assert!(!format!("{ended:?}").contains("hunter2"), "{ended:?}");
    }
}

/// T-16: a cloud's helper would make a token for whatever it is asked about.
#[tokio::test(flavor = "multi_thread")]
async fn t16_a_cloud_helper_is_not_run_for_a_registry_of_somebody_else() {
    let script = r#"#!/bin/sh
touch "$(dirname "$0")/asked"
echo '{"Username":"robot","Secret":"hunter2"}'
"#;
    for helper in ["ecr-login", "gcloud", "acr-env"] {
        let stage = with_helper(helper, script).await;
        let ended = verify(&stage, &[]);
        assert_eq!(ended.code, 3, "{ended:?}");
        assert!(ended.stdout.contains("registry-auth"), "{ended:?}");
        assert!(!stage.folder().join("asked").exists(), "{helper}");
    }
}
