//! The parts of the engine's syntax tree that compilation reads, and how they are walked.
//!
//! The engine publishes the tree as JSON only; reading it into types keeps every match exhaustive.

mod walk;

use serde::Deserialize;

pub(super) use walk::Node;

/// Where something stands in the source, in bytes.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A policy.
#[derive(Debug, Deserialize)]
pub(super) struct Module {
    pub(super) package: Package,
    pub(super) imports: Vec<Import>,
    pub(super) rules: Vec<Rule>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Package {
    pub(super) refr: Expr,
}

#[derive(Debug, Deserialize)]
pub(super) struct Import {
    pub(super) refr: Expr,
    pub(super) r#as: Option<Span>,
}

#[derive(Debug, Deserialize)]
pub(super) enum Rule {
    Spec {
        head: Head,
        bodies: Vec<Body>,
    },
    Default {
        refr: Expr,
        args: Vec<Expr>,
        value: Expr,
    },
}

#[derive(Debug, Deserialize)]
pub(super) enum Head {
    Compr {
        refr: Expr,
        assign: Option<Assign>,
    },
    Set {
        refr: Expr,
        key: Option<Expr>,
    },
    Func {
        refr: Expr,
        args: Vec<Expr>,
        assign: Option<Assign>,
    },
}

#[derive(Debug, Deserialize)]
pub(super) struct Assign {
    pub(super) span: Span,
    pub(super) value: Expr,
}

#[derive(Debug, Deserialize)]
pub(super) struct Body {
    pub(super) assign: Option<Assign>,
    pub(super) query: Query,
}

#[derive(Debug, Deserialize)]
pub(super) struct Query {
    pub(super) stmts: Vec<Statement>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Statement {
    pub(super) literal: Literal,
    #[serde(default)]
    pub(super) with_mods: Vec<With>,
}

#[derive(Debug, Deserialize)]
pub(super) struct With {
    pub(super) refr: Expr,
    pub(super) r#as: Expr,
}

#[derive(Debug, Deserialize)]
pub(super) enum Literal {
    SomeVars {
        vars: Vec<Span>,
    },
    SomeIn {
        key: Option<Expr>,
        value: Expr,
        collection: Expr,
    },
    Expr {
        expr: Expr,
    },
    NotExpr {
        expr: Expr,
    },
    Every {
        key: Option<Span>,
        value: Span,
        domain: Expr,
        query: Query,
    },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(super) enum AssignOp {
    Eq,
    ColEq,
}

#[derive(Debug, Deserialize)]
#[expect(
    clippy::enum_variant_names,
    reason = "the names are those of the engine's tree"
)]
pub(super) enum Expr {
    String {
        value: String,
    },
    RawString {
        value: String,
    },
    Number {},
    Bool {},
    Null {},
    Var {
        span: Span,
        value: String,
    },
    Array {
        span: Span,
        items: Vec<Expr>,
    },
    Set {
        span: Span,
        items: Vec<Expr>,
    },
    Object {
        fields: Vec<(Span, Expr, Expr)>,
    },
    ArrayCompr {
        span: Span,
        term: Box<Expr>,
        query: Query,
    },
    SetCompr {
        span: Span,
        term: Box<Expr>,
        query: Query,
    },
    ObjectCompr {
        span: Span,
        key: Box<Expr>,
        value: Box<Expr>,
        query: Query,
    },
    Call {
        span: Span,
        fcn: Box<Expr>,
        params: Vec<Expr>,
    },
    UnaryExpr {
        expr: Box<Expr>,
    },
    RefDot {
        span: Span,
        refr: Box<Expr>,
        field: (Span, String),
    },
    RefBrack {
        span: Span,
        refr: Box<Expr>,
        index: Box<Expr>,
    },
    BinExpr {
        span: Span,
        lhs: Box<Expr>,
        rhs: Box<Expr>,
    },
    BoolExpr {
        lhs: Box<Expr>,
        rhs: Box<Expr>,
    },
    ArithExpr {
        span: Span,
        lhs: Box<Expr>,
        rhs: Box<Expr>,
    },
    AssignExpr {
        span: Span,
        op: AssignOp,
        lhs: Box<Expr>,
        rhs: Box<Expr>,
    },
    Membership {
        key: Option<Box<Expr>>,
        value: Box<Expr>,
        collection: Box<Expr>,
    },
}

impl Rule {
    /// The reference that names the rule.
    pub(super) fn name(&self) -> &Expr {
        match self {
            Self::Default { refr, .. }
            | Self::Spec {
                head: Head::Compr { refr, .. } | Head::Set { refr, .. } | Head::Func { refr, .. },
                ..
            } => refr,
        }
    }

    /// Whether the rule is one that only appears when v1 is read as v0: nothing but a name, or
    /// named like the keywords of v1.
    pub(super) fn is_misread_v1(&self) -> bool {
        let is_bare = match self {
            Self::Spec {
                head: Head::Compr { assign: None, .. } | Head::Func { assign: None, .. },
                bodies,
            } => bodies.is_empty(),
            Self::Spec { .. } | Self::Default { .. } => false,
        };
        let name = self.name().path();
        is_bare || matches!(name.first(), Some(&("if" | "contains" | "every" | "in")))
    }

    /// The arguments, when the rule is a function.
    pub(super) fn arguments(&self) -> Option<&[Expr]> {
        match self {
            Self::Spec {
                head: Head::Func { args, .. },
                ..
            } => Some(args),
            Self::Default { args, .. } if !args.is_empty() => Some(args),
            Self::Spec { .. } | Self::Default { .. } => None,
        }
    }

    /// The values that the rule assigns to its name.
    pub(super) fn assigns(&self) -> impl Iterator<Item = &Assign> {
        let (head, bodies): (Option<&Assign>, &[Body]) = match self {
            Self::Default { .. } => (None, &[]),
            Self::Spec { head, bodies } => match head {
                Head::Compr { assign, .. } | Head::Func { assign, .. } => (assign.as_ref(), bodies),
                Head::Set { .. } => (None, bodies),
            },
        };
        head.into_iter()
            .chain(bodies.iter().filter_map(|body| body.assign.as_ref()))
    }
}

impl Expr {
    /// What a reference starts from; any other expression is its own root.
    fn root(&self) -> &Self {
        let mut root = self;
        while let Self::RefDot { refr, .. } | Self::RefBrack { refr, .. } = root {
            root = refr;
        }
        root
    }

    /// The bracketed expressions of a reference.
    fn indices(&self) -> Vec<&Self> {
        let mut found = Vec::new();
        let mut rest = self;
        loop {
            match rest {
                Self::RefDot { refr, .. } => rest = refr,
                Self::RefBrack { refr, index, .. } => {
                    found.push(index.as_ref());
                    rest = refr;
                }
                _ => return found,
            }
        }
    }

    /// The names at the beginning of a reference, up to the first that only evaluation knows;
    /// empty when the expression is not a reference to something named.
    pub(super) fn path(&self) -> Vec<&str> {
        let mut chain = Vec::new();
        let mut rest = self;
        loop {
            match rest {
                Self::Var { value, .. } => {
                    let fields = chain.into_iter().rev().map_while(|field| field);
                    return std::iter::once(value.as_str()).chain(fields).collect();
                }
                Self::RefDot {
                    refr,
                    field: (_, name),
                    ..
                } => {
                    chain.push(Some(name.as_str()));
                    rest = refr;
                }
                Self::RefBrack { refr, index, .. } => {
                    chain.push(match index.as_ref() {
                        Self::String { value } | Self::RawString { value } => Some(value.as_str()),
                        _ => None,
                    });
                    rest = refr;
                }
                _ => return Vec::new(),
            }
        }
    }

    /// A number, string, boolean or null, written out.
    pub(super) fn is_scalar(&self) -> bool {
        matches!(
            self,
            Self::String { .. }
                | Self::RawString { .. }
                | Self::Number {}
                | Self::Bool {}
                | Self::Null {}
        )
    }

    /// An array, set or object that is put together here.
    pub(super) fn is_composite(&self) -> bool {
        matches!(
            self,
            Self::Array { .. }
                | Self::Set { .. }
                | Self::Object { .. }
                | Self::ArrayCompr { .. }
                | Self::SetCompr { .. }
                | Self::ObjectCompr { .. }
        )
    }

    /// Where the expression stands, if the engine says so exactly.
    pub(super) fn exact_span(&self) -> Option<Span> {
        match self {
            Self::Var { span, .. }
            | Self::Array { span, .. }
            | Self::Set { span, .. }
            | Self::ArrayCompr { span, .. }
            | Self::SetCompr { span, .. }
            | Self::ObjectCompr { span, .. }
            | Self::Call { span, .. }
            | Self::RefDot { span, .. }
            | Self::RefBrack { span, .. }
            | Self::BinExpr { span, .. }
            | Self::ArithExpr { span, .. } => Some(*span),
            Self::String { .. }
            | Self::RawString { .. }
            | Self::Number {}
            | Self::Bool {}
            | Self::Null {}
            | Self::Object { .. }
            | Self::UnaryExpr { .. }
            | Self::BoolExpr { .. }
            | Self::AssignExpr { .. }
            | Self::Membership { .. } => None,
        }
    }
}
