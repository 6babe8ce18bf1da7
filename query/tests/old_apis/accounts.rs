//! Logging in, and registering accounts.

use cloudigrade_query::ids;
use cloudigrade_query::rest::backend::Refused;
use serde_json::{Value, json};

use crate::backend::{ALICE, BOB, READER, ROOT};
use crate::world::{BETA, EMPTY, SHARED, STAGING, World, acme, each};

const LIST: &str = "/api/v1/account/";
const REQUIRED: &str = "This field is required.";

fn one(id: i64) -> String {
    format!("{LIST}{id}/")
}

#[tokio::test]
async fn who_logs_in_gets_a_token_and_who_cannot_is_told_so_in_words_of_then() {
    let world = World::new().await;
    let (path, server) = ("/auth/token/create/", &world.server);
    let right = json!({"username": "alice", "password": "correct horse"});
    assert_eq!(server.ask("POST", path, "", Some(&right)).await.ok(200), json!({"auth_token": ALICE, "is_superuser": false}));
    assert_eq!(world.server.backend.asked(), ["log in alice to write"]);
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    server.send("POST", path, form, b"username=alice&password=correct+horse").await.ok(200);

    let refuses = async |body: Value, status: u16, told: Value| {
        let answer = server.ask("POST", path, "", Some(&body)).await;
        assert_eq!((answer.status, answer.json()), (status, told), "{body}");
    };
    let wrong = json!({"non_field_errors": ["Unable to log in with provided credentials."]});
    refuses(json!({"username": "alice", "password": "wrong"}), 400, wrong).await;
    refuses(json!({}), 400, json!({"username": [REQUIRED], "password": [REQUIRED]})).await;
    refuses(
        json!({"username": "", "password": 1}),
        400,
        json!({"username": ["This field may not be blank."], "password": ["Not a valid string."]}),
    )
    .await;
    refuses(json!([]), 400, json!({"non_field_errors": ["Invalid data. Expected a dictionary, but got list."]})).await;
    assert_eq!(server.ask("POST", path, "", Some(&json!({"username": "alice", "password": "too often"}))).await.status, 429);

    assert_eq!(
        world.get("/auth/me/", ALICE).await,
        json!({"username": "alice", "email": "alice@example.com", "id": ids::user_id("alice")})
    );
    world.server.backend.asked();
    assert_eq!(server.ask("POST", "/auth/token/destroy/", &ALICE.to_uppercase(), None).await.status, 204);
    assert_eq!(world.server.backend.asked(), [format!("revoke {ALICE}")]);
    world.refuses("/auth/me/", "0000000000000000000000000000000000000000", 401, json!({"detail": "Invalid token."})).await;
    world.refuses("/auth/me/", "", 401, json!({"detail": "Authentication credentials were not provided."})).await;
    assert_eq!(server.ask("OPTIONS", LIST, "", None).await.status, 200);
}

#[tokio::test]
async fn accounts_are_listed_with_their_numbers_in_pages_and_each_sees_their_own() {
    let world = World::new().await;
    let first = world.get(&format!("{LIST}?limit=2&user_id={}", ids::user_id("bob")), ALICE).await;
    assert_eq!((&first["count"], &first["previous"]), (&json!(3), &json!(null)));
    assert_eq!(each(&first["results"], "aws_account_id"), [SHARED, STAGING]);
    let shown = &first["results"][0];
    let url = format!("http://{}{}", world.server.address, one(acme(SHARED)));
    assert_eq!(
        *shown,
        json!({
            "account_arn": format!("arn:aws:iam::{SHARED}:role/cloudigrade"),
            "aws_account_id": SHARED,
            "created_at": "2024-01-01T00:00:00Z",
            "id": acme(SHARED),
            "name": "Production EU",
            "resourcetype": "AwsAccount",
            "updated_at": "2024-01-01T00:00:00Z",
            "url": url,
            "user_id": ids::user_id("alice"),
        })
    );
    let next = first["next"].as_str().unwrap().split_once("/api/").unwrap().1;
    let second = world.get(&format!("/api/{next}"), ALICE).await;
    assert_eq!((&second["count"], &second["next"]), (&json!(3), &json!(null)));
    assert_eq!(each(&second["results"], "aws_account_id"), [EMPTY]);
    assert!(second["previous"].as_str().unwrap().contains("limit=2&offset=0"));

    assert_eq!(world.get(&one(acme(SHARED)), ALICE).await, *shown);
    assert_eq!(world.get(LIST, ROOT).await["count"], 5);
    let bobs = world.get(&format!("{LIST}?user_id={}", ids::user_id("bob")), ROOT).await;
    assert_eq!(each(&bobs["results"], "aws_account_id"), [BETA, SHARED]);
    assert_eq!(world.get(&format!("{LIST}?user_id=7"), ROOT).await["count"], 0);
    for token in [ALICE, ROOT] {
        world.refuses(&format!("{LIST}?user_id=bob"), token, 400, json!({"user_id": ["user_id must be an integer."]})).await;
    }
    world.refuses(&format!("{LIST}?limit=x"), ALICE, 400, json!({"limit": ["A valid integer is required."]})).await;
    for id in [acme(SHARED), 7] {
        world.refuses(&one(id), BOB, 404, json!({"detail": "Not found."})).await;
    }
    world.refuses(&format!("{LIST}x/"), ALICE, 404, json!({"detail": "Not found."})).await;
    assert_eq!(world.server.get("/api/v1/account", ALICE).await.status, 404);
}

#[tokio::test]
async fn an_account_is_registered_or_it_is_told_what_is_wrong_with_which_field() {
    let world = World::new().await;
    let arn = "arn:aws:iam::000000000090:role/r";
    let body = json!({"resourcetype": "AwsAccount", "account_arn": format!(" {arn} "), "name": "new one", "id": 7});
    let made = world.server.ask("POST", LIST, ALICE, Some(&body)).await.ok(201);
    assert_eq!((&made["account_arn"], &made["aws_account_id"], &made["name"]), (&json!(arn), &json!("000000000090"), &json!("new one")));
    assert_eq!((&made["id"], &made["user_id"]), (&json!(acme("000000000090")), &json!(ids::user_id("alice"))));
    assert_eq!(world.server.backend.asked(), ["register acme/000000000090 by alice"]);

    let posts = async |body: Value, status: u16, told: Value| {
        let answer = world.server.ask("POST", LIST, ALICE, Some(&body)).await;
        assert_eq!((answer.status, answer.json()), (status, told), "{body}");
    };
    posts(json!({}), 400, json!({"resourcetype": [REQUIRED]})).await;
    posts(json!({"resourcetype": "Gcp"}), 400, json!({"resourcetype": ["Invalid resourcetype"]})).await;
    posts(json!({"resourcetype": "AwsAccount"}), 400, json!({"account_arn": [REQUIRED], "name": [REQUIRED]})).await;
    let blank = json!({"resourcetype": "AwsAccount", "account_arn": arn, "name": " "});
    posts(blank, 400, json!({"name": ["This field may not be blank."]})).await;
    let long = json!({"resourcetype": "AwsAccount", "account_arn": arn, "name": "x".repeat(257)});
    posts(long, 400, json!({"name": ["Ensure this field has no more than 256 characters."]})).await;

    let body = json!({"resourcetype": "AwsAccount", "account_arn": arn, "name": "N"});
    let invalid = |code: &str, details: &[&str]| Refused::Invalid {
        field: Some("account_arn"),
        code: code.to_owned(),
        message: "what to do".to_owned(),
        details: details.iter().map(|&detail| detail.to_owned()).collect(),
    };
    let of_arn = |message: &str| json!({"account_arn": [message]});
    let lines = json!({"account_arn": [
        "Account verification failed.",
        "Access denied for policy action \"ec2:CopyImage\".",
        "Access denied for policy action \"ec2:CreateTags\".",
    ]});
    for (refusal, status, told) in [
        (invalid("invalid_arn", &[]), 400, of_arn("Invalid ARN.")),
        (invalid("duplicate_name", &[]), 400, json!({"non_field_errors": ["Account with name 'N' for user 'alice' already exists"]})),
        (invalid("duplicate_arn", &[]), 400, of_arn("aws account with this account arn already exists.")),
        (invalid("duplicate_account", &[]), 400, of_arn("An ARN already exists for account \"000000000090\"")),
        (invalid("permission_denied", &[]), 400, of_arn("Permission denied for ARN \"arn:aws:iam::000000000090:role/r\"")),
        (invalid("verification_failed", &["ec2:CopyImage", "ec2:CreateTags"]), 400, lines),
        (invalid("trail_denied", &[]), 400, of_arn("Access denied to create CloudTrail for ARN \"arn:aws:iam::000000000090:role/r\"")),
        (invalid("trail_quota", &[]), 409, json!({"detail": "what to do"})),
        (invalid("obstructed", &[]), 500, json!({"detail": "A server error occurred."})),
        (Refused::Failed, 500, json!({"detail": "A server error occurred."})),
        (invalid("external_id_not_required", &[]), 400, of_arn("what to do")),
        (Refused::StillWorking { message: "look again".to_owned() }, 202, json!({"detail": "look again"})),
    ] {
        world.server.backend.refuse(refusal);
        posts(body.clone(), status, told).await;
    }
    assert_eq!(world.server.backend.asked(), [""; 0]);
    assert_eq!(world.server.ask("POST", LIST, READER, Some(&body)).await.status, 403);
}

#[tokio::test]
async fn of_an_account_only_the_name_can_be_changed_and_it_can_be_forgotten() {
    let world = World::new().await;
    let path = one(acme(SHARED));
    let arn = format!("arn:aws:iam::{SHARED}:role/cloudigrade");
    let asks = async |method: &str, token: &str, body: Value, status: u16| {
        let answer = world.server.ask(method, &path, token, Some(&body)).await;
        assert_eq!(answer.status, status, "{method} {body}: {}", answer.text());
        answer.json()
    };
    let renamed = asks("PATCH", ALICE, json!({"resourcetype": "AwsAccount", "name": "other"}), 200).await;
    assert_eq!((&renamed["name"], &renamed["id"]), (&json!("other"), &json!(acme(SHARED))));
    let again = json!({"resourcetype": "AwsAccount", "name": "third", "account_arn": arn});
    assert_eq!(asks("PUT", ALICE, again.clone(), 200).await["name"], "third");
    // What changes nothing asks for nothing.
    asks("PUT", ALICE, again, 200).await;
    let asked = world.server.backend.asked();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert!(asked[0].contains("Rename(Some(\"other\")) acme/000000000012 by alice"), "{asked:?}");

    let other = json!({"resourcetype": "AwsAccount", "name": "x", "account_arn": "arn:aws:iam::000000000099:role/r"});
    for method in ["PUT", "PATCH"] {
        let told = asks(method, ALICE, other.clone(), 400).await;
        assert_eq!(told, json!({"account_arn": ["You cannot change this field."]}), "{method}");
        assert_eq!(asks(method, ALICE, json!({}), 400).await, json!({"resourcetype": [REQUIRED]}), "{method}");
        assert_eq!(asks(method, BOB, other.clone(), 404).await, json!({"detail": "Not found."}), "{method}");
    }
    assert_eq!(asks("PUT", ALICE, json!({"resourcetype": "AwsAccount", "name": "x"}), 400).await, json!({"account_arn": [REQUIRED]}));
    world.server.backend.refuse(Refused::Invalid {
        field: Some("name"),
        code: "duplicate_name".into(),
        message: String::new(),
        details: Vec::new(),
    });
    let told = asks("PATCH", ALICE, json!({"resourcetype": "AwsAccount", "name": "staging"}), 400).await;
    assert_eq!(told, json!({"non_field_errors": ["Account with name 'staging' for user 'alice' already exists"]}));

    assert_eq!(world.server.ask("DELETE", &path, BOB, None).await.status, 404);
    assert_eq!(world.server.backend.asked(), [""; 0]);
    assert_eq!(world.server.ask("DELETE", &path, ALICE, None).await.status, 204);
    assert_eq!(world.server.backend.asked(), ["delete acme/000000000012 by alice"]);
    world.refuses(&path, ALICE, 404, json!({"detail": "Not found."})).await;
}
