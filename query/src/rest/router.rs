//! Which endpoint a request is for. The table of endpoints is the only thing that says what there is.

use percent_encoding::percent_decode_str;
use warp::http::Method;

use super::endpoint::Endpoint;

/// All endpoints by path.
pub(super) struct Router {
    routes: Vec<Route>,
}

/// The endpoints of one path.
pub(super) struct Route {
    /// The path, with its parameters in braces.
    pub(super) path: &'static str,
    segments: Vec<Segment>,
    /// One a method.
    pub(super) endpoints: Vec<Endpoint>,
}

/// What is between two slashes of a path. Fixed ones go before named ones where both match.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Fixed(&'static str),
    Named(&'static str),
}

/// A path that there is, and what its parameters are.
pub(super) struct Found<'a> {
    pub(super) route: &'a Route,
    pub(super) parts: Vec<(&'static str, String)>,
}

impl Router {
    /// Endpoints in any order.
    pub(super) fn new(endpoints: Vec<Endpoint>) -> Self {
        let mut routes: Vec<Route> = Vec::new();
        for endpoint in endpoints {
            match routes.iter_mut().find(|route| route.path == endpoint.path) {
                Some(route) => route.endpoints.push(endpoint),
                None => {
                    let segments = endpoint.path.split('/').map(segment).collect();
                    routes.push(Route { path: endpoint.path, segments, endpoints: vec![endpoint] });
                }
            }
        }
        routes.sort_by(|a, b| a.segments.cmp(&b.segments));
        Self { routes }
    }

    /// All paths, in order.
    pub(super) fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The path that a request is for. Segments are decoded one by one, so that a slash that was encoded is part of its segment.
    pub(super) fn find(&self, path: &str) -> Option<Found<'_>> {
        let decode = |segment| percent_decode_str(segment).decode_utf8().ok();
        let segments = path.split('/').map(decode).collect::<Option<Vec<_>>>()?;
        self.routes.iter().find_map(|route| {
            if route.segments.len() != segments.len() {
                return None;
            }
            let mut parts = Vec::new();
            for (expected, found) in route.segments.iter().zip(&segments) {
                match expected {
                    Segment::Fixed(text) if text == found => {}
                    Segment::Named(name) if !found.is_empty() => parts.push((*name, found.to_string())),
                    _ => return None,
                }
            }
            Some(Found { route, parts })
        })
    }
}

impl Route {
    /// What answers a method: `HEAD` is answered as `GET` is.
    pub(super) fn endpoint(&self, method: &Method) -> Option<&Endpoint> {
        let method = if method == Method::HEAD { &Method::GET } else { method };
        self.endpoints.iter().find(|endpoint| endpoint.method == method)
    }

    /// The methods that the path has, as the header `allow` lists them.
    pub(super) fn allow(&self) -> String {
        let mut methods: Vec<&str> = self.endpoints.iter().map(|endpoint| endpoint.method.as_str()).collect();
        if methods.contains(&"GET") {
            methods.push("HEAD");
        }
        methods.push("OPTIONS");
        methods.sort_unstable();
        methods.dedup();
        methods.join(", ")
    }
}

fn segment(text: &'static str) -> Segment {
    match text.strip_prefix('{').and_then(|text| text.strip_suffix('}')) {
        Some(name) => Segment::Named(name),
        None => Segment::Fixed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rest::answer;
    use crate::rest::endpoint::{Access, Dialect, Operation, handler};

    async fn nothing(_: crate::rest::Rest, _: crate::rest::call::Call) -> Result<warp::reply::Response, answer::Failure> {
        Ok(answer::no_content())
    }

    fn router(paths: &[&'static str]) -> Router {
        let operation =
            Operation { id: "x", tag: "x", summary: "", description: "", parameters: Vec::new(), body: None, answers: Vec::new() };
        let endpoint = |path: &&'static str| Endpoint {
            method: Method::GET,
            path,
            access: Access::Open,
            dialect: Dialect::Problem,
            operation: operation.clone(),
            handler: handler!(nothing),
        };
        Router::new(paths.iter().map(endpoint).collect())
    }

    #[test]
    fn fixed_segments_go_before_named_ones_and_slashes_are_part_of_a_path() {
        let router = router(&["/a/{id}", "/a/b", "/a/{id}/", "/{x}/b/c"]);
        let find = |path: &str| router.find(path).map(|found| (found.route.path, found.parts));
        assert_eq!(find("/a/b"), Some(("/a/b", Vec::new())));
        assert_eq!(find("/a/c"), Some(("/a/{id}", vec![("id", "c".to_owned())])));
        assert_eq!(find("/a/c/"), Some(("/a/{id}/", vec![("id", "c".to_owned())])));
        assert_eq!(find("/a/c%2Fd%20e"), Some(("/a/{id}", vec![("id", "c/d e".to_owned())])));
        assert_eq!(find("/%61/%62"), Some(("/a/b", Vec::new())));
        assert_eq!(find("/a/b/c"), Some(("/{x}/b/c", vec![("x", "a".to_owned())])));
        for path in ["", "/", "/a", "/a/", "/a//", "/a/%FF", "/a%2Fb", "/b/b"] {
            assert_eq!(find(path), None, "{path}");
        }
    }
}
