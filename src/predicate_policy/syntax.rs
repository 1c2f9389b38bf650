//! The parts of the engine's syntax tree that compilation reads, and how they are walked.
//!
//! The engine publishes the tree as JSON only; reading it into types keeps every match exhaustive.

use serde::Deserialize;

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
        span: Span,
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

/// Something that a walk passes.
pub(super) enum Node<'a> {
    /// An expression. References are passed once, as a whole.
    Expr(&'a Expr),
    /// The variable declared here (`some`, `every`).
    Declared(Span),
    /// An expression whose variables are declared here (`some … in`).
    Pattern(&'a Expr),
    /// A `with` modifier; its replacement is passed as an expression too.
    With(&'a With),
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

    /// Everything that is evaluated, outside of queries.
    fn expressions(&self) -> Vec<&Expr> {
        match self {
            Self::Default { value, .. } => vec![value],
            Self::Spec { head, bodies } => {
                let head = match head {
                    Head::Compr { refr, assign } => {
                        let mut found = refr.indices();
                        found.extend(assign.as_ref().map(|assign| &assign.value));
                        found
                    }
                    Head::Set { refr, key } => {
                        let mut found = refr.indices();
                        found.extend(key);
                        found
                    }
                    Head::Func { assign, .. } => {
                        assign.iter().map(|assign| &assign.value).collect()
                    }
                };
                let bodies = bodies.iter().filter_map(|body| body.assign.as_ref());
                head.into_iter()
                    .chain(bodies.map(|assign| &assign.value))
                    .collect()
            }
        }
    }

    fn queries(&self) -> impl Iterator<Item = &Query> {
        let bodies: &[Body] = match self {
            Self::Spec { bodies, .. } => bodies,
            Self::Default { .. } => &[],
        };
        bodies.iter().map(|body| &body.query)
    }

    /// Passes everything that the rule evaluates, outer expressions before inner ones. `visit`
    /// says whether to go on into the node.
    pub(super) fn walk<'a>(&'a self, visit: &mut impl FnMut(Node<'a>) -> bool) {
        for expression in self.expressions() {
            expression.walk(visit);
        }
        for query in self.queries() {
            query.walk(visit);
        }
    }

    /// How deep evaluation nests inside the rule: expressions, and statements, since the engine
    /// may go one level deeper for each.
    pub(super) fn depth(&self) -> usize {
        let expressions = self.expressions().into_iter().map(Expr::depth).max();
        let queries = self.queries().map(Query::depth).max();
        1 + expressions.unwrap_or(0).max(queries.unwrap_or(0))
    }
}

impl Query {
    fn walk<'a>(&'a self, visit: &mut impl FnMut(Node<'a>) -> bool) {
        for statement in &self.stmts {
            match &statement.literal {
                Literal::SomeVars { vars } => {
                    for span in vars {
                        visit(Node::Declared(*span));
                    }
                }
                Literal::SomeIn {
                    key,
                    value,
                    collection,
                } => {
                    for pattern in key.iter().chain([value]) {
                        visit(Node::Pattern(pattern));
                        pattern.walk(visit);
                    }
                    collection.walk(visit);
                }
                Literal::Expr { expr } | Literal::NotExpr { expr } => expr.walk(visit),
                Literal::Every {
                    key,
                    value,
                    domain,
                    query,
                } => {
                    for span in key.iter().chain([value]) {
                        visit(Node::Declared(*span));
                    }
                    domain.walk(visit);
                    query.walk(visit);
                }
            }
            for with in &statement.with_mods {
                visit(Node::With(with));
                with.r#as.walk(visit);
            }
        }
    }

    fn depth(&self) -> usize {
        let deepest = self.stmts.iter().map(|statement| {
            let literal = match &statement.literal {
                Literal::SomeVars { .. } => 0,
                Literal::SomeIn { collection, .. } => collection.depth(),
                Literal::Expr { expr } | Literal::NotExpr { expr } => expr.depth(),
                Literal::Every { domain, query, .. } => domain.depth().max(query.depth()),
            };
            let with = statement.with_mods.iter().map(|with| with.r#as.depth());
            literal.max(with.max().unwrap_or(0))
        });
        self.stmts.len() + deepest.max().unwrap_or(0)
    }
}

impl Expr {
    /// Passes this expression and all inside it; see [`Rule::walk`].
    pub(super) fn walk<'a>(&'a self, visit: &mut impl FnMut(Node<'a>) -> bool) {
        if !visit(Node::Expr(self)) {
            return;
        }
        let (children, query) = self.inner();
        for child in children {
            child.walk(visit);
        }
        if let Some(query) = query {
            query.walk(visit);
        }
    }

    fn depth(&self) -> usize {
        let (children, query) = self.inner();
        let children = children.into_iter().map(Self::depth).max().unwrap_or(0);
        1 + children.max(query.map_or(0, Query::depth))
    }

    fn inner(&self) -> (Vec<&Self>, Option<&Query>) {
        match self {
            Self::String { .. }
            | Self::RawString { .. }
            | Self::Number {}
            | Self::Bool {}
            | Self::Null {}
            | Self::Var { .. } => (Vec::new(), None),
            Self::Array { items, .. } | Self::Set { items, .. } => (items.iter().collect(), None),
            Self::Object { fields, .. } => (
                fields
                    .iter()
                    .flat_map(|(_, key, value)| [key, value])
                    .collect(),
                None,
            ),
            Self::ArrayCompr { term, query, .. } | Self::SetCompr { term, query, .. } => {
                (vec![term], Some(query))
            }
            Self::ObjectCompr {
                key, value, query, ..
            } => (vec![key, value], Some(query)),
            Self::Call { fcn, params, .. } => {
                let mut children = fcn.indices();
                children.extend(params);
                (children, None)
            }
            Self::UnaryExpr { expr } => (vec![expr], None),
            Self::RefDot { .. } | Self::RefBrack { .. } => {
                let mut children = self.indices();
                let root = self.root();
                if !matches!(root, Self::Var { .. }) {
                    children.push(root);
                }
                (children, None)
            }
            Self::BinExpr { lhs, rhs, .. }
            | Self::BoolExpr { lhs, rhs }
            | Self::ArithExpr { lhs, rhs, .. }
            | Self::AssignExpr { lhs, rhs, .. } => (vec![lhs, rhs], None),
            Self::Membership {
                key,
                value,
                collection,
            } => {
                let mut children: Vec<&Self> = key.iter().map(AsRef::as_ref).collect();
                children.extend([value.as_ref(), collection.as_ref()]);
                (children, None)
            }
        }
    }

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

    /// Every variable in a pattern.
    pub(super) fn variables<'a>(&'a self, found: &mut impl FnMut(&'a str)) {
        if let Self::Var { value, .. } = self {
            found(value);
        }
        for child in self.inner().0 {
            child.variables(found);
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

    /// Where the expression stands, if the engine says so exactly.
    pub(super) fn exact_span(&self) -> Option<Span> {
        match self {
            Self::Var { span, .. }
            | Self::Array { span, .. }
            | Self::Set { span, .. }
            | Self::Object { span, .. }
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
            | Self::UnaryExpr { .. }
            | Self::BoolExpr { .. }
            | Self::AssignExpr { .. }
            | Self::Membership { .. } => None,
        }
    }
}
