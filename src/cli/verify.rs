//! `vouchsafe verify`: judge images or manifests as the webhook would, and explain every step.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use clap::{Args, ValueEnum};
use tokio::time::Instant;

use super::manifest::{self, Manifest};
use super::output::Output;
use super::progress::Progress;
use super::record::Record;
use super::{Exit, note, print, style};
use crate::adapters::files;
use crate::app::engine::{Broken, Engine};
use crate::app::referents;
use crate::config::{JudgeArgs, Tags};
use crate::explain::{self, Style, VerifyReport};
use crate::limits::Limits;
use crate::verdict::{
    AuthorityVerdict, ImageVerdict, Judgement, PolicyVerdict, ReviewVerdict, fold_review,
};
use crate::workload::{FieldPath, Request};

/// Arguments of `verify`.
#[derive(Args, Debug)]
#[command(mut_arg("policies", |policies| policies.required(true)))]
#[command(after_help = "Exit codes:
  0  admitted, warnings included
  1  an image is denied (with --fail-on warn: or warned about)
  2  the command line, a manifest or a policy cannot be used
  3  nothing is denied, and something could not be judged: a registry that is down, for example

Examples:
  vouchsafe verify --policies policies/ registry.example.com/shop/cart:1.4
  helm template . | vouchsafe verify -f - --policies policies/
  vouchsafe verify --policies policies/ -o json IMAGE | jq .verdict
  vouchsafe verify --policies policies/ --show-input tekton-chains IMAGE | jq .predicate
  vouchsafe verify --policies policies/ --record cases/cart IMAGE && vouchsafe test cases/cart

Registry credentials come from the docker config, as for every OCI tool.")]
pub(super) struct VerifyArgs {
    /// Images to judge
    #[arg(value_name = "IMAGE", required_unless_present = "file")]
    images: Vec<String>,

    /// A manifest whose images are judged; `-` is standard input. May be given again
    #[arg(short = 'f', long = "file", value_name = "MANIFEST")]
    file: Vec<PathBuf>,

    #[command(flatten)]
    judge: JudgeArgs,

    /// How the result is written: as a tree, or as vouchsafe.verify/v1
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,

    /// Print what Rego is given, as JSON, one document per line: the verified statements of an authority, or the whole of what a policy's own Rego sees
    #[arg(long, value_name = "NAME", conflicts_with = "output")]
    show_input: Option<String>,

    /// Write what was fetched into this folder, and a case with this verdict, for `vouchsafe test`
    #[arg(long, value_name = "DIR", conflicts_with = "show_input")]
    record: Option<PathBuf>,

    /// What makes the command fail
    #[arg(long, value_enum, default_value_t)]
    fail_on: FailOn,

    /// Time for everything, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=600), env = "VOUCHSAFE_TIMEOUT")]
    timeout: u64,
}

/// The longest list of objects that are not judged, in bytes.
const OTHERS: usize = 1_024;
/// The longest name that is shown while it is judged, in bytes.
const SHOWN: usize = 256;

#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
enum FailOn {
    /// A denial
    #[default]
    Deny,
    /// A denial, or a `warn` policy that is not satisfied
    Warn,
}

/// An image and the object that runs it.
type Judged = (Option<Arc<Request>>, ImageVerdict);

pub(super) async fn run(args: VerifyArgs) -> anyhow::Result<Exit> {
    // What `/mutate` would pin is judged as it would pin it: at the digest that its tag has now.
    let tags = args.judge.tags.unpinned();
    let judging = JudgeArgs {
        tags,
        ..args.judge.clone()
    };
    let (record, engine) = if let Some(folder) = &args.record {
        let (record, engine) = Record::start(folder, &judging)?;
        (Some(record), engine)
    } else {
        let engine = Engine::new(&judging, &Limits::default(), Arc::new(()))?;
        (None, engine)
    };
    let documents = files::load(&args.judge.policies)?;
    for unused in &referents::unused(&documents, engine.namespace()) {
        note(unused);
    }
    let objects = documents.objects();
    engine.prepare(&objects).await;
    let broken = engine.replace(objects)?;
    // Policies are decided about before any image is.
    if !broken.is_empty() {
        let told: Vec<String> = broken.iter().map(Broken::to_string).collect();
        bail!("{}", told.join("\n"));
    }
    let manifests = args
        .file
        .iter()
        .map(|path| manifest::read(path, &engine.snapshot().kinds))
        .collect::<anyhow::Result<Vec<Manifest>>>()?;
    let (judged, passed_over) = judge(&engine, &args, manifests).await;
    let verdict = fold_review(judged.iter().map(|(_, image)| image.clone()).collect());
    if let Some(name) = &args.show_input {
        return show_input(&verdict, name);
    }
    let tags = match args.judge.tags {
        Tags::Resolve | Tags::Require => explain::Tags::MayMove,
        Tags::Pin | Tags::PinAll => explain::Tags::Pinned,
    };
    let mut warnings = explain::warnings(&verdict, tags);
    warnings.extend(passed_over);
    let report = explain::report(&verdict, warnings);
    let tree = |_: &VerifyReport| explain::tree(&verdict.images, style());
    args.output.write(&report, tree)?;
    if let Some(record) = record {
        match record.finish(judged, &engine).await {
            // That something could not be judged is what there is to say, and its reason is above.
            Err(error) if exit(&verdict) == Exit::Unknown => note(&format!("{error:#}")),
            ended => ended?,
        }
    }
    // That a tag may move is said, and is no failure: the verdict is about what it names now.
    let warned = args.fail_on == FailOn::Warn && verdict.judgement == Judgement::Warn;
    Ok(if warned { Exit::Deny } else { exit(&verdict) })
}

/// Every image, with the object that runs it where there is one; and a line for each manifest with objects that were passed over.
async fn judge(
    engine: &Engine,
    args: &VerifyArgs,
    manifests: Vec<Manifest>,
) -> (Vec<Judged>, Vec<String>) {
    let deadline = Instant::now() + Duration::from_secs(args.timeout);
    let images = on_the_command_line(engine, args, deadline).await;
    let mut judged: Vec<Judged> = images.into_iter().map(|image| (None, image)).collect();
    let (mut objects, mut passed_over) = (Vec::new(), Vec::new());
    for manifest in manifests {
        if !manifest.others.is_empty() {
            let others = explain::printable_line(&manifest.others.join(", "), OTHERS);
            let line = format!("not judged, since their kinds are not covered: {others}");
            note(&line);
            passed_over.push(line);
        }
        objects.extend(manifest.objects);
    }
    let several = objects.len() > 1;
    for (shown, request) in objects {
        let shown = explain::printable_line(&shown, SHOWN);
        let _progress = Progress::start(format!("judging {shown}"));
        let verdict = engine
            .judge()
            .review(&request, &engine.snapshot(), deadline)
            .await;
        let object = Arc::new(request);
        judged.extend(verdict.images.into_iter().map(|image| {
            let image = if several {
                within(&shown, image)
            } else {
                image
            };
            (Some(Arc::clone(&object)), image)
        }));
    }
    (judged, passed_over)
}

async fn on_the_command_line(
    engine: &Engine,
    args: &VerifyArgs,
    deadline: Instant,
) -> Vec<ImageVerdict> {
    if args.images.is_empty() {
        return Vec::new();
    }
    let shown = explain::printable_line(&args.images.join(", "), SHOWN);
    let _progress = Progress::start(format!("judging {shown}"));
    let snapshot = engine.snapshot();
    let verdict = engine
        .judge()
        .images(&args.images, &snapshot, deadline)
        .await;
    verdict.images
}

/// Among several objects, a field says whose it is.
fn within(object: &str, image: ImageVerdict) -> ImageVerdict {
    let fields = image
        .fields
        .iter()
        .map(|field| FieldPath::new(format!("{object} {field}")))
        .collect();
    ImageVerdict { fields, ..image }
}

/// Prints what the Rego of the authority or policy of this name was given.
fn show_input(verdict: &ReviewVerdict, name: &str) -> anyhow::Result<Exit> {
    let policies = || verdict.images.iter().flat_map(|image| &image.policies);
    let authorities = || policies().flat_map(|policy| &policy.authorities);
    let ended = exit(verdict);
    if ended != Exit::Success {
        // Standard output is for the inputs alone; why some are missing must not be.
        let plain = Style {
            color: false,
            width: usize::MAX,
        };
        note(explain::tree(&verdict.images, plain).trim_end());
    }
    let named: Vec<&AuthorityVerdict> =
        authorities().filter(|found| &*found.name == name).collect();
    let whole: Vec<&PolicyVerdict> = policies().filter(|found| &*found.name == name).collect();
    if named.is_empty() && whole.is_empty() {
        // Before its authorities were asked an image may be denied, or not be judged: that says nothing about the name.
        if ended != Exit::Success && authorities().next().is_none() {
            return Ok(ended);
        }
        bail!("{}", nobody_of_that_name(verdict, name));
    }
    let statements = named.iter().flat_map(|found| &found.inputs);
    let documents = whole.iter().flat_map(|found| &found.input);
    let inputs: Vec<&Arc<str>> = statements.chain(documents).collect();
    if inputs.is_empty() {
        note(&match named.as_slice() {
            [] => format!(
                "policy {name} was given nothing: it has no Rego of its own, or none of its authorities is satisfied"
            ),
            _ => format!(
                "authority {name} has no verified attestation of a type that its policies look at"
            ),
        });
    }
    for input in inputs {
        print(&format!("{}\n", one_line(input)))?;
    }
    Ok(ended)
}

/// Which names there are.
fn nobody_of_that_name(verdict: &ReviewVerdict, name: &str) -> String {
    let policies = || verdict.images.iter().flat_map(|image| &image.policies);
    let listed = |names: &mut Vec<&str>| {
        names.sort_unstable();
        names.dedup();
        names.join(", ")
    };
    let mut authorities: Vec<&str> = policies()
        .flat_map(|policy| &policy.authorities)
        .map(|found| &*found.name)
        .collect();
    let mut with_rego: Vec<&str> = policies()
        .filter(|policy| policy.input.is_some())
        .map(|found| &*found.name)
        .collect();
    let mut text = format!(
        "no policy that matches has an authority {name:?}; there are: {}",
        listed(&mut authorities)
    );
    if !with_rego.is_empty() {
        text.push_str("; policies with Rego of their own: ");
        text.push_str(&listed(&mut with_rego));
    }
    text
}

/// An input on one line: its line breaks stand between its parts and mean nothing, and what could move a terminal's cursor can
/// only stand inside of strings, where its escaped form means the same.
fn one_line(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    for c in json.trim().chars() {
        match c {
            '\n' | '\r' | '\t' => line.push(' '),
            '\u{7f}'..='\u{9f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}' => {
                line.extend([format!("\\u{:04x}", u32::from(c))]);
            }
            c => line.push(c),
        }
    }
    line
}

fn exit(verdict: &ReviewVerdict) -> Exit {
    match verdict.judgement {
        Judgement::Deny => Exit::Deny,
        Judgement::Unknown => Exit::Unknown,
        Judgement::Warn | Judgement::Admit => Exit::Success,
    }
}
