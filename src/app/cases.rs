//! One case of `vouchsafe test`: the engine over what was recorded, with nobody else to ask.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::engine::{Broken, Engine};
use crate::adapters::files::{self, EVIDENCE_FOLDER};
use crate::adapters::recording::Replay;
use crate::cases::{Case, Difference, Found, ImageSubject, Object, Subject};
use crate::decide::evaluation_reason;
use crate::explain::{self, Style, printable_line};
use crate::limits::Limits;
use crate::policy::{AttestationRule, CompiledPolicy};
use crate::predicate_policy::{Budget, Decision, EvalError};
use crate::statement::Statement;
use crate::verdict::{Judgement, NoMatchPolicy, Reason, ReviewVerdict};
use crate::workload::{Kinds, Operation, Request};

/// The time that one case has. Nothing is waited for but files and policies, which have bounds of their own.
const TIME: Duration = Duration::from_secs(30);
/// One message of a policy, in bytes.
const MESSAGE_BYTES: usize = 1 << 10;

/// How a case ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// As expected.
    Passed,
    /// Otherwise.
    Failed {
        /// What is not as expected.
        differences: Vec<Difference>,
        /// What was asked and is not recorded, or was edited. Then the verdict says nothing.
        complaints: Vec<String>,
        /// The explained verdict.
        explained: String,
    },
    /// It could not be run, and why.
    Broken(String),
}

/// What was found, and how it is shown.
struct Judged {
    found: Found,
    complaints: Vec<String>,
    explained: String,
}

/// Runs a case whose file stands in `folder`.
pub async fn run(case: &Case, folder: &Path, style: Style) -> Ended {
    match judge(case, folder, style).await {
        Ok(judged) => {
            let differences = case.expected.differences(&judged.found);
            if differences.is_empty() && judged.complaints.is_empty() {
                return Ended::Passed;
            }
            Ended::Failed {
                differences,
                complaints: judged.complaints,
                explained: judged.explained,
            }
        }
        Err(error) => {
            let causes: Vec<String> = error.chain().map(ToString::to_string).collect();
            Ended::Broken(causes.join(": "))
        }
    }
}

async fn judge(case: &Case, folder: &Path, style: Style) -> anyhow::Result<Judged> {
    let limits = Limits::default();
    match &case.subject {
        Subject::Image(subject) => {
            let replay = Arc::new(recorded(subject, folder, &limits)?);
            let engine = engine(case, folder, &replay, subject.no_match, &limits)?;
            let verdict = image(&engine, subject).await?;
            Ok(judged(&verdict, &replay, style))
        }
        Subject::Statements { files, attestation } => {
            let program = |compiled: &[Arc<CompiledPolicy>]| {
                let statements = files
                    .iter()
                    .map(|file| statement(&folder.join(file), &limits))
                    .collect::<anyhow::Result<Vec<Statement>>>()?;
                of_statements(compiled, &statements, attestation.as_deref())
            };
            program(&compiled(case, folder, &limits)?).map(evaluated)
        }
        Subject::Input { file } => {
            let limit = Budget::default().input_bytes;
            let input = text(&folder.join(file), limit)?;
            of_input(&compiled(case, folder, &limits)?, &input).map(evaluated)
        }
    }
}

/// The recording that a case names; where it names none and there is none, one without any answer.
fn recorded(subject: &ImageSubject, folder: &Path, limits: &Limits) -> anyhow::Result<Replay> {
    let evidence = match &subject.evidence {
        Some(named) => folder.join(named),
        None => folder.join(EVIDENCE_FOLDER),
    };
    if subject.evidence.is_none() && !evidence.exists() {
        return Ok(Replay::empty(&limits.registry));
    }
    Ok(Replay::open(&evidence, &limits.registry)?)
}

/// An engine with the policies of a case in force.
fn engine(
    case: &Case,
    folder: &Path,
    replay: &Arc<Replay>,
    no_match: NoMatchPolicy,
    limits: &Limits,
) -> anyhow::Result<Engine> {
    let paths: Vec<PathBuf> = if case.policies.is_empty() {
        vec![folder.to_owned()]
    } else {
        case.policies.iter().map(|path| folder.join(path)).collect()
    };
    let documents = files::load(&paths)?;
    if documents.policies.is_empty() {
        let shown: Vec<String> = paths
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        bail!("there is no ClusterImagePolicy in {}", shown.join(", "));
    }
    let engine = Engine::replaying(Arc::clone(replay), no_match, case.at, limits)?;
    let broken = engine.replace(documents.objects())?;
    if !broken.is_empty() {
        let told: Vec<String> = broken.iter().map(Broken::to_string).collect();
        bail!("{}", told.join("\n"));
    }
    Ok(engine)
}

fn compiled(
    case: &Case,
    folder: &Path,
    limits: &Limits,
) -> anyhow::Result<Vec<Arc<CompiledPolicy>>> {
    let nothing = Arc::new(Replay::empty(&limits.registry));
    let engine = engine(case, folder, &nothing, NoMatchPolicy::Deny, limits)?;
    Ok(engine.snapshot().policies.policies().to_vec())
}

// === images ===

async fn image(engine: &Engine, subject: &ImageSubject) -> anyhow::Result<ReviewVerdict> {
    let deadline = Instant::now() + TIME;
    let snapshot = engine.snapshot();
    if let Some(object) = &subject.object {
        let request = request(object, &subject.image)?;
        return Ok(engine.judge().review(&request, &snapshot, deadline).await);
    }
    let images = [subject.image.clone()];
    Ok(engine.judge().images(&images, &snapshot, deadline).await)
}

/// The request to create an object of this kind, with the image in its only container.
fn request(object: &Object, image: &str) -> anyhow::Result<Request> {
    let api_version = object.api_version.as_str();
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    let kinds = Kinds::built_in();
    let Some(kind) = kinds.find(group, &object.kind) else {
        let known: Vec<&str> = kinds.iter().map(|kind| kind.kind.as_str()).collect();
        bail!(
            "object: {} of {api_version} runs no images; kinds that do are {}",
            object.kind,
            known.join(", ")
        );
    };
    let pod_spec = json!({"containers": [{"name": "case", "image": image}]});
    let nested = kind.around(pod_spec).unwrap_or_default();
    let mut whole = json!({
        "apiVersion": api_version,
        "kind": object.kind,
        "metadata": {"name": "case", "namespace": object.namespace, "labels": object.labels},
    });
    if let (Value::Object(whole), Value::Object(nested)) = (&mut whole, nested) {
        whole.extend(nested);
    }
    Ok(Request {
        uid: String::new(),
        operation: Operation::Create,
        group: group.to_owned(),
        version: version.to_owned(),
        kind: object.kind.clone(),
        subresource: String::new(),
        namespace: object.namespace.clone(),
        name: "case".to_owned(),
        object: whole,
        old_object: None,
        dry_run: true,
    })
}

fn judged(verdict: &ReviewVerdict, replay: &Replay, style: Style) -> Judged {
    let plain = Style {
        color: false,
        width: usize::MAX,
    };
    // The messages for machines stand on one line each, where the tree may have broken them up.
    let report = explain::report(verdict, Vec::new());
    let policies = report.images.iter().flat_map(|image| &image.policies);
    let messages = policies.flat_map(|policy| {
        let authorities = policy.authorities.iter();
        std::iter::once(&policy.message).chain(authorities.map(|authority| &authority.message))
    });
    let messages: Vec<&str> = messages.map(String::as_str).collect();
    let tree = explain::tree(&verdict.images, plain);
    Judged {
        found: Found {
            verdict: verdict.judgement,
            reason: verdict.reason,
            said: format!("{}\n{tree}", messages.join("\n")),
        },
        complaints: replay.complaints(),
        explained: explain::tree(&verdict.images, style),
    }
}

// === what Rego says ===

/// What one program answered.
struct Answer {
    /// Whose program it is.
    about: String,
    said: Result<Decision, EvalError>,
}

/// Every attestation of the type of a statement is asked, and must accept one of the statements of its type.
fn of_statements(
    policies: &[Arc<CompiledPolicy>],
    statements: &[Statement],
    attestation: Option<&str>,
) -> anyhow::Result<Vec<Answer>> {
    let rules =
        || rules(policies).filter(|(_, rule)| attestation.is_none_or(|name| *rule.name == *name));
    let is_of = |statement: &Statement, rule: &AttestationRule| {
        statement.predicate_type() == rule.predicate_type.uri()
    };
    for statement in statements {
        if !rules().any(|(_, rule)| is_of(statement, rule)) {
            let types: Vec<&str> = rules().map(|(_, rule)| rule.predicate_type.uri()).collect();
            if types.is_empty() && attestation.is_none() {
                bail!(
                    "these policies want no attestation, and a statement does not show who signed: record an image instead"
                );
            }
            bail!(
                "no attestation of these policies is of the type {:?}; there are: {}",
                printable_line(statement.predicate_type(), MESSAGE_BYTES),
                types.join(", ")
            );
        }
    }
    let answers = rules().filter_map(|(about, rule)| {
        let own = statements.iter().filter(|statement| is_of(statement, rule));
        let said = own
            .map(|statement| match &rule.program {
                Some(program) => program.evaluate(statement.json(), &Budget::default()),
                // Without a program, that it exists is enough.
                None => Ok(Decision::Pass),
            })
            .min_by_key(rank)?;
        Some(Answer { about, said })
    });
    Ok(answers.collect())
}

/// Any that passes is enough; what could not be evaluated might have.
fn rank(said: &Result<Decision, EvalError>) -> u8 {
    match said {
        Ok(Decision::Pass) => 0,
        Err(_) => 1,
        Ok(Decision::Warn(_) | Decision::Fail(_)) => 2,
    }
}

/// Each attestation that an authority wants, and whose it is.
fn rules(policies: &[Arc<CompiledPolicy>]) -> impl Iterator<Item = (String, &AttestationRule)> {
    let bodies = policies
        .iter()
        .filter_map(|policy| Some((&policy.name, policy.body.as_ref().ok()?)));
    let authorities = bodies.flat_map(|(name, body)| {
        body.authorities
            .iter()
            .map(move |authority| (name, authority))
    });
    authorities.flat_map(|(policy, authority)| {
        authority.attestation_rules().iter().map(move |rule| {
            let about = format!(
                "policy {policy}, authority {}, attestation {}",
                authority.name, rule.name
            );
            (about, rule)
        })
    })
}

/// The policies over what their authorities found.
fn of_input(policies: &[Arc<CompiledPolicy>], input: &str) -> anyhow::Result<Vec<Answer>> {
    serde_json::from_str::<serde::de::IgnoredAny>(input).context("input is not JSON")?;
    let programs = policies.iter().filter_map(|policy| {
        let whole = policy.body.as_ref().ok()?.program.as_ref()?;
        Some((format!("policy {}", policy.name), &whole.program))
    });
    let answers: Vec<Answer> = programs
        .map(|(about, program)| Answer {
            about,
            said: program.evaluate(input, &Budget::default()),
        })
        .collect();
    if answers.is_empty() {
        bail!(
            "none of these policies has a policy of its own (spec.policy), which is what input is for"
        );
    }
    Ok(answers)
}

/// All must pass. One that refuses decides, whatever could not be evaluated beside it.
fn evaluated(answers: Vec<Answer>) -> Judged {
    let (mut verdict, mut reason) = (Judgement::Admit, Reason::Satisfied);
    let mut lines = Vec::new();
    for Answer { about, said } in answers {
        let told = match said {
            Ok(Decision::Pass) => "passed".to_owned(),
            // A warning beside `result: true` does not satisfy, as in policy-controller.
            Ok(Decision::Warn(messages) | Decision::Fail(messages)) => {
                (verdict, reason) = (Judgement::Deny, Reason::PolicyDenied);
                let messages: Vec<String> = messages
                    .iter()
                    .map(|message| printable_line(message, MESSAGE_BYTES))
                    .collect();
                format!("refused: {}", messages.join(" "))
            }
            Err(error) => {
                if verdict != Judgement::Deny {
                    (verdict, reason) = (Judgement::Unknown, evaluation_reason(&error));
                }
                let error = printable_line(&error.to_string(), MESSAGE_BYTES);
                format!("could not be evaluated: {error}")
            }
        };
        lines.push(format!("{about}: {told}\n"));
    }
    let explained = lines.concat();
    Judged {
        found: Found {
            verdict,
            reason,
            said: explained.clone(),
        },
        complaints: Vec::new(),
        explained,
    }
}

// === files ===

fn statement(path: &Path, limits: &Limits) -> anyhow::Result<Statement> {
    let text = text(path, limits.evidence.attestation_bytes)?;
    Statement::parse(text.as_bytes(), &limits.evidence)
        .with_context(|| format!("the statement {} cannot be used", path.display()))
}

/// The text of a file of at most `limit` bytes.
fn text(path: &Path, limit: usize) -> anyhow::Result<String> {
    let shown = path.display();
    // Opening anything else, such as a pipe, could wait for ever.
    if !path.is_file() {
        bail!("there is no file {shown}");
    }
    let mut bytes = Vec::new();
    let bound = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    File::open(path)
        .and_then(|file| file.take(bound).read_to_end(&mut bytes))
        .with_context(|| format!("cannot read {shown}"))?;
    if bytes.len() > limit {
        bail!("{shown} is larger than {limit} bytes");
    }
    String::from_utf8(bytes).with_context(|| format!("{shown} is not text"))
}
