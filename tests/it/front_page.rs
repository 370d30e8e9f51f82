//! `use tower_api_keys::*` hides no other name that a service uses.

use axum::Router;
use http::StatusCode;
use tower::ServiceBuilder;
use tower_api_keys::*;

#[tokio::test]
async fn everything_at_once_leaves_other_crates_reachable() {
    let keys = ApiKeys::new(store::MemoryStore::new()).unwrap();
    let layers = ServiceBuilder::new().layer(keys.layer());
    let app: Router = Router::new().route("/", axum::routing::get(async |_: Principal| StatusCode::OK)).layer(layers);
    let request = http::Request::new(axum::body::Body::empty());
    let answer = tower::ServiceExt::oneshot(app, request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let refusal = answer.extensions().get::<Refusal>().map(Refusal::code);
    assert_eq!(refusal, Some(RefusalCode::MissingCredentials));
    let _: (Option<KeyId>, Rights, Option<TeamRole>, Timestamp) = (None, Rights::none(), None, Timestamp::MIN);
}
