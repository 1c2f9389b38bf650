//! The credentials as the program makes them, with every service replaced by one stand-in.

use std::time::Duration;

use vouchsafe::adapters::cloud::{Cloud, CloudCredentials, CloudSettings};
use vouchsafe::adapters::outbound::Outbound;
use vouchsafe::gather::{Credential, KeychainEntry};

use crate::support::stand_in::StandIn;

pub(crate) const ECR: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";
pub(crate) const GAR: &str = "europe-docker.pkg.dev";
pub(crate) const ACR: &str = "shop.azurecr.io";

/// Who we are in these clouds by these variables, asked at the stand-in alone.
pub(crate) fn settings(
    clouds: &[Cloud],
    environment: &[(&str, &str)],
    service: &StandIn,
) -> CloudSettings {
    let variable = |name: &str| {
        let found = environment.iter().find(|(variable, _)| *variable == name);
        found.map(|(_, value)| (*value).to_owned())
    };
    let mut settings = CloudSettings::from_environment(clouds, true, variable);
    let url: reqwest::Url = service.url.parse().unwrap();
    settings.stand_in = Some(url.clone());
    if let Some(aws) = &mut settings.aws {
        aws.stand_in = Some(url.clone());
        aws.sts_endpoint = Some(service.url.clone());
    }
    if let Some(google) = &mut settings.google {
        google.stand_in = Some(url.clone());
    }
    if let Some(azure) = &mut settings.azure {
        azure.stand_in = Some(url);
    }
    settings
}

pub(crate) fn credentials(settings: CloudSettings) -> CloudCredentials {
    let outbound = Outbound::new(None, Duration::from_secs(5)).unwrap();
    CloudCredentials::new(settings, outbound)
}

/// What one registry gets.
pub(crate) async fn entry(credentials: &CloudCredentials, registry: &str) -> Option<KeychainEntry> {
    let mut entries = credentials.entries(&[registry]).await;
    assert!(entries.len() <= 1, "{entries:?}");
    entries.pop()
}

/// User and password that one registry gets.
pub(crate) async fn basic(credentials: &CloudCredentials, registry: &str) -> (String, String) {
    let entry = entry(credentials, registry).await.unwrap();
    assert_eq!(entry.pattern, registry);
    match entry.credential {
        Credential::Basic { username, password } => (username, password),
        other => panic!("{other:?}"),
    }
}

/// A file with this text, as long as the folder is there.
pub(crate) fn file(folder: &tempfile::TempDir, text: &str) -> String {
    let path = folder.path().join("credential");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}
