//! Walking the syntax tree: everything that a rule evaluates, and how deep that nests.

use super::{Body, Expr, Head, Literal, Query, Rule, Span, Statement, With};

/// Something that a walk passes.
pub(in super::super) enum Node<'a> {
    /// An expression. References are passed once, as a whole.
    Expr(&'a Expr),
    /// The variable declared here (`some`, `every`).
    Declared(Span),
    /// An expression whose variables are declared here (`some … in`).
    Pattern(&'a Expr),
    /// A `with` modifier; its replacement is passed as an expression too.
    With(&'a With),
    /// A statement, before what is in it.
    Statement(&'a Statement),
}

impl Rule {
    /// Everything that is evaluated, outside of queries.
    fn expressions(&self) -> Vec<&Expr> {
        let mut found: Vec<&Expr> = self.assigns().map(|assign| &assign.value).collect();
        match self {
            Self::Default { value, .. } => found.push(value),
            Self::Spec { head, .. } => match head {
                Head::Compr { refr, .. } => found.extend(refr.indices()),
                Head::Set { refr, key } => {
                    found.extend(refr.indices());
                    found.extend(key);
                }
                Head::Func { .. } => {}
            },
        }
        found
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
    pub(in super::super) fn walk<'a>(&'a self, visit: &mut impl FnMut(Node<'a>) -> bool) {
        for expression in self.expressions() {
            expression.walk(visit);
        }
        for query in self.queries() {
            query.walk(visit);
        }
    }

    /// How deep evaluation nests inside the rule: expressions, and statements, since the engine
    /// may go one level deeper for each.
    pub(in super::super) fn depth(&self) -> usize {
        let expressions = self.expressions().into_iter().map(Expr::depth).max();
        let queries = self.queries().map(Query::depth).max();
        1 + expressions.unwrap_or(0).max(queries.unwrap_or(0))
    }
}

impl Query {
    fn walk<'a>(&'a self, visit: &mut impl FnMut(Node<'a>) -> bool) {
        for statement in &self.stmts {
            visit(Node::Statement(statement));
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
    pub(in super::super) fn walk<'a>(&'a self, visit: &mut impl FnMut(Node<'a>) -> bool) {
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

    /// Every variable in a pattern.
    pub(in super::super) fn variables<'a>(&'a self, found: &mut impl FnMut(&'a str)) {
        if let Self::Var { value, .. } = self {
            found(value);
        }
        for child in self.inner().0 {
            child.variables(found);
        }
    }
}
