//! Damage of any object: what needs it fails, names it and changes nothing; what does not need it is not disturbed.

use std::collections::BTreeMap;
use std::sync::Arc;

use brine::archive::Archive;
use brine::engine::error::{EngineError, ErrorKind};
use brine::engine::point::{RestorePoint, RestoreRequest, RestoreTarget};
use brine::engine::verify;
use brine::model::backup::ProofLevel;
use brine::model::position::Moment;
use brine::storage::memory::Memory;
use brine::storage::{ObjectName, Storage};

use crate::env::{World, chain, t};
use crate::moments::other;
use crate::verbs::{Template, Verb};

fn object(name: &str) -> ObjectName {
    ObjectName::new(name.to_owned()).unwrap()
}

/// The objects that a test damages: what brine wrote for good, and the documents that restores read.
fn victims(objects: &BTreeMap<String, Vec<u8>>) -> Vec<String> {
    objects.keys().cloned().collect()
}

/// Ways to damage one object, with the object that is damaged.
fn damages(objects: &BTreeMap<String, Vec<u8>>, name: &str) -> Vec<(String, Option<Vec<u8>>)> {
    let bytes = &objects[name];
    let mut all = vec![("gone".to_owned(), None)];
    for _ in 0..3 {
        let (at, bit) = (fastrand::usize(..bytes.len()), fastrand::u8(..8));
        let mut bad = bytes.clone();
        bad[at] ^= 1 << bit;
        all.push((format!("bit {bit} of byte {at}"), Some(bad)));
    }
    all.push(("cut".to_owned(), Some(bytes[..fastrand::usize(..bytes.len())].to_vec())));
    all.push(("longer".to_owned(), Some([&bytes[..], b"x"].concat())));
    // Another object of the same kind in its place.
    let dir = |n: &str| n.rsplit_once('/').unwrap().0.to_owned();
    let twin = objects.keys().find(|n| *n != name && dir(n) == dir(name));
    let manifest = objects
        .keys()
        .find(|n| *n != name && n.ends_with("manifest") && name.ends_with("manifest"));
    for twin in twin.into_iter().chain(manifest) {
        all.push((format!("replaced by {twin}"), Some(objects[twin].clone())));
    }
    if std::env::var_os("BRINE_TEST_ALL").is_none() {
        while all.len() > 2 {
            all.swap_remove(fastrand::usize(..all.len()));
        }
    }
    all
}

fn damaged(template: &Template, name: &str, bytes: Option<&Vec<u8>>) -> (World, Memory) {
    let memory = Memory::new();
    for (n, b) in &template.objects {
        memory.overwrite(&object(n), b);
    }
    let w = template.on(Arc::new(memory.clone()));
    match bytes {
        Some(bytes) => memory.overwrite(&object(name), bytes),
        None => memory.delete(&object(name)).unwrap(),
    }
    (w, memory)
}

#[test]
fn a_restore_never_uses_damaged_bytes() {
    let template = Template::new();
    let other = other();
    other.restore_something(&template);
    let before = other.sums();
    assert_ne!(before, template.want);
    let (mut failed, mut unharmed) = (BTreeMap::new(), 0);
    for name in victims(&template.objects) {
        for (how, bytes) in damages(&template.objects, &name) {
            let what = format!("{name}: {how}");
            let (w, _) = damaged(&template, &name, bytes.as_ref());
            let request = w.request_to(&other, template.job.at);
            let result = w.try_view().and_then(|_| w.restore_to(&request, &other));
            match result {
                Ok(_) => {
                    assert_eq!(other.sums(), template.want, "{what}");
                    other.restore_something(&template);
                    unharmed += 1;
                }
                Err(e) => {
                    let text = format!("{} | {}", chain(&e), e.hint().unwrap_or_default());
                    assert_eq!(other.sums(), before, "{what}: {text}");
                    assert!(other.c().session("app").is_ok(), "{what}: {text}");
                    let file = name.rsplit_once('/').unwrap().1;
                    let gone_state = how == "gone" && name.contains("/state/");
                    // A missing manifest is a backup that is none; a missing document is an empty one.
                    let is_told = text.contains(file) || gone_state || (how == "gone" && file == "manifest");
                    assert!(is_told || text.contains("missing"), "{what}: {text}");
                    let kinds = [ErrorKind::Corrupt, ErrorKind::NotFound, ErrorKind::Failed];
                    assert!(kinds.contains(&e.kind()), "{what}: {:?} {text}", e.kind());
                    *failed.entry(name.clone()).or_insert(0) += 1;
                }
            }
        }
    }
    println!(
        "{} objects matter, {unharmed} restores were not touched by the damage",
        failed.len()
    );
    let needed: Vec<_> = failed
        .keys()
        .filter(|n| n.contains("/data-") || n.contains(".seg"))
        .collect();
    assert!(needed.len() >= 8, "{needed:?}");
}

#[test]
fn verifying_finds_every_damage_of_a_backup() {
    let template = Template::new();
    let id = template.world().view().bases()[0].id.clone();
    let own = format!("snapshot-{id}/");
    let mut seen = 0;
    for name in victims(&template.objects).into_iter().filter(|n| n.contains(&own)) {
        for (how, bytes) in damages(&template.objects, &name) {
            let what = format!("{name}: {how}");
            let (w, _) = damaged(&template, &name, bytes.as_ref());
            let scratch = || -> Result<_, EngineError> { Ok(other_cluster()) };
            let run = |level| {
                verify::run(
                    &w.archive,
                    &w.lock,
                    &id,
                    level,
                    verify::Scratch::Fresh(&scratch),
                    &w.cx(),
                )
            };
            let e = run(ProofLevel::Checksums).expect_err(&what);
            let missing_manifest = how == "gone" && name.ends_with("manifest");
            assert!(
                e.kind() == ErrorKind::Corrupt || missing_manifest,
                "{what}: {:?} {}",
                e.kind(),
                chain(&e)
            );
            assert!(
                chain(&e).contains(name.rsplit_once('/').unwrap().1),
                "{what}: {}",
                chain(&e)
            );
            if e.kind() == ErrorKind::Corrupt && !name.ends_with("manifest") {
                let view = w.view();
                assert!(view.is_proved_bad(&id), "{what}");
                assert!(view.bases().iter().all(|b| b.id != id), "{what}: it is still a base");
            }
            seen += 1;
        }
    }
    assert!(seen >= 10);
    let w = template.world();
    let scratch = || -> Result<_, EngineError> { Ok(other_cluster()) };
    for level in [ProofLevel::Files, ProofLevel::Checksums, ProofLevel::Tested] {
        let receipt = verify::run(
            &w.archive,
            &w.lock,
            &id,
            level,
            verify::Scratch::Fresh(&scratch),
            &w.cx(),
        )
        .unwrap();
        assert_eq!((receipt.level, receipt.tables), (level, 5));
        let proof = w.view().proof(&id).unwrap();
        assert_eq!((proof.level, proof.failed), (level, None));
    }
}

fn other_cluster() -> Arc<dyn brine::cluster::Cluster> {
    use std::sync::Mutex;
    // Kept until the process ends: a scratch cluster may be used for as long as the verification runs.
    static KEPT: Mutex<Vec<World>> = Mutex::new(Vec::new());
    let w = other();
    let cluster = w.c().clone();
    KEPT.lock().unwrap().push(w);
    cluster
}

#[test]
fn an_archive_is_not_opened_under_another_name() {
    let template = Template::new();
    let memory = Memory::new();
    for (name, bytes) in &template.objects {
        memory.overwrite(&object(&name.replace("backup-demo", "backup-shop")), bytes);
    }
    let found = Archive::open(Arc::new(memory), &crate::env::name("shop"));
    assert!(found.is_err(), "{found:?}");
}

impl World {
    /// Something else than what the test restores.
    fn restore_something(&self, template: &Template) {
        let w = template.world();
        let first = w.view().bases()[0].commit;
        let request = w.request_to(self, first.last_tso());
        w.restore_to(&request, self).unwrap();
        assert!(w.view().window().span_at(Moment::of_tso(template.job.at)).is_some());
    }
}

#[test]
fn a_snapshot_is_restored_whatever_happened_to_the_documents() {
    let template = Template::new();
    let (other, want) = (crate::moments::other(), crate::moments::other());
    let whole = template.world();
    let base = whole.view().bases().into_iter().next_back().unwrap();
    let request = |target| RestoreRequest {
        replace: true,
        ..whole.request(RestorePoint::Snapshot { id: base.id.clone() }, target)
    };
    let into_other = request(RestoreTarget::Cluster {
        name: other.name.clone(),
    });
    whole.restore_to(&into_other, &want).unwrap();
    for document in ["settings", "log", "incarnations", "protect", "proofs"] {
        let victim = format!("backup-demo/state/{document}");
        let Some(bytes) = template.objects.get(&victim) else {
            continue;
        };
        let mut flipped = bytes.clone();
        flipped[bytes.len() - 9] ^= 4;
        for bad in [None, Some(&flipped)] {
            other.restore_something(&template);
            let (w, _) = damaged(&template, &victim, bad);
            let plan = w.plan_to(&into_other, &other).unwrap();
            let told = plan.checks.iter().find(|c| c.name == "archive");
            let must_be_told = bad.is_some() || matches!(document, "log" | "incarnations");
            assert_eq!(told.is_some(), must_be_told, "{victim}: {told:?}");
            assert!(
                told.is_none_or(|c| c.found.contains(&format!("state/{document}"))),
                "{told:?}"
            );
            w.run_to(&plan, &other, false, &w.cx()).unwrap();
            assert_eq!(other.sums(), want.sums(), "{victim}");
            if must_be_told {
                // A new history could not be noted.
                let in_place = w.plan(&request(RestoreTarget::InPlace)).unwrap();
                assert_eq!(in_place.blocked().map(|c| c.name.as_str()), Some("archive"));
                let e = w.try_view().expect_err("everything else needs it");
                assert!(chain(&e).contains(&format!("state/{document}")), "{}", chain(&e));
            }
        }
    }
}

#[test]
fn an_archive_that_has_lost_its_identity_gets_no_new_one() {
    let template = Template::new();
    let memory = Memory::new();
    for (name, bytes) in template.objects.iter().filter(|(n, _)| !n.ends_with("archive.json")) {
        memory.overwrite(&object(name), bytes);
    }
    let identity = template.world().archive.identity().clone();
    let storage: Arc<dyn Storage> = Arc::new(memory.clone());
    let before = crate::verbs::read_all(&memory);
    for opened in [
        Archive::open(storage.clone(), &identity.cluster).map(drop),
        Archive::create(storage.clone(), identity.clone()).map(drop),
    ] {
        let e = opened.unwrap_err();
        assert!(e.is_corrupt(), "{e}");
        assert!(e.to_string().contains("archive.json` is missing"), "{e}");
    }
    assert_eq!(
        Archive::list(&memory).unwrap(),
        [identity.cluster],
        "it is listed, so that somebody opens it"
    );
    assert_eq!(crate::verbs::read_all(&memory), before);
}

#[test]
fn a_new_log_never_takes_the_place_of_one_whose_document_is_lost() {
    let template = Template::new();
    let (w, _) = damaged(&template, "backup-demo/state/log", None);
    let before = w.listing();
    let e = brine::engine::log::control::start(&w.archive, &w.lock).unwrap_err();
    assert!(
        chain(&e).contains("state/log` is missing, although there is log of"),
        "{}",
        chain(&e)
    );
    assert_eq!(w.listing(), before);
}

#[test]
fn a_lost_document_is_no_empty_one_to_those_who_write() {
    let template = Template::new();
    for document in ["log", "incarnations"] {
        let gone = format!("backup-demo/state/{document}");
        let (w, _) = damaged(&template, &gone, None);
        let before = w.listing();
        let is_told = |e: EngineError| {
            assert_eq!(e.kind(), ErrorKind::Corrupt, "{}", chain(&e));
            assert!(chain(&e).contains(&format!("state/{document}")), "{}", chain(&e));
        };
        is_told(w.try_catch_up(&w.cx()).unwrap_err());
        if document == "incarnations" {
            is_told(w.try_backup(&w.cx()).unwrap_err());
        }
        assert_eq!(w.listing(), before, "nothing is deleted or written");
    }
}

/// Where a copy of an archive may leave a segment a second time: under another day, and behind the end of the log.
fn twins(name: &str) -> [String; 2] {
    let (dir, file) = name.rsplit_once('/').unwrap();
    let (log, day) = dir.rsplit_once('/').unwrap();
    let day: u32 = day.parse().unwrap();
    let mut parts: Vec<&str> = file.split('-').collect();
    (parts[0], parts[1]) = ("000000000900", "000000000900");
    [
        format!("{log}/{}/{file}", day + 1),
        format!("{dir}/{}", parts.join("-")),
    ]
}

#[test]
fn a_segment_that_is_there_twice_is_replayed_once() {
    let template = Template::new();
    let segments: Vec<&String> = template.objects.keys().filter(|n| n.ends_with(".seg")).collect();
    assert!(segments.len() > 1, "{segments:?}");
    let other = other();
    let (mut restored, mut went_on) = (0, 0);
    for name in segments {
        for twin in twins(name) {
            other.restore_something(&template);
            let before = other.sums();
            let memory = Memory::new();
            for (n, b) in &template.objects {
                memory.overwrite(&object(n), b);
            }
            memory.overwrite(&object(&twin), &template.objects[name]);
            let w = template.on(Arc::new(memory.clone()));
            let request = w.request_to(&other, template.job.at);
            match w.restore_to(&request, &other) {
                Ok(_) => {
                    assert_eq!(other.sums(), template.want, "{twin}");
                    restored += 1;
                }
                Err(e) => {
                    assert_eq!(e.kind(), ErrorKind::Corrupt, "{twin}: {}", chain(&e));
                    assert!(
                        chain(&e).contains(twin.rsplit_once('/').unwrap().1),
                        "{twin}: {}",
                        chain(&e)
                    );
                    assert_eq!(other.sums(), before, "{twin}");
                    continue;
                }
            }
            // The log goes on behind its own end, and what comes then is restored with what was before; or it says what is
            // in its way.
            w.app().create_table(&t("shop", "twice"), "{}").unwrap();
            w.app().put(&t("shop", "twice"), b"k", b"v").unwrap();
            if let Err(e) = w.try_catch_up(&w.cx()) {
                assert_eq!(e.kind(), ErrorKind::Corrupt, "{twin}: {}", chain(&e));
                assert!(chain(&e).contains(&twin), "{twin}: {}", chain(&e));
                continue;
            }
            went_on += 1;
            let end = w.app().put(&t("shop", "twice"), b"k", b"w").unwrap();
            w.catch_up();
            let request = w.request_to(&other, end);
            w.restore_to(&request, &other)
                .unwrap_or_else(|e| panic!("{twin}: {}", chain(&e)));
            assert_eq!(other.sums(), w.sums(), "{twin}");
        }
    }
    assert!(
        restored > 0 && went_on > 0,
        "{restored} {went_on}: a twin is no reason to refuse everything"
    );
}

#[test]
fn in_place_a_damaged_base_leaves_the_old_data_and_an_open_cluster() {
    let template = Template::new();
    let newest = template.world().view().bases().last().unwrap().id.clone();
    let own = format!("snapshot-{newest}/");
    let data = |n: &&String| n.contains(&own) && !n.ends_with("manifest");
    for name in template.objects.keys().filter(data) {
        let mut bytes = template.objects[name].clone();
        *bytes.last_mut().unwrap() ^= 1;
        let (w, _) = damaged(&template, name, Some(&bytes));
        let e = template.run(Verb::InPlace, &w, &w.cx()).unwrap_err();
        assert_eq!(e.kind(), ErrorKind::Corrupt, "{}", chain(&e));
        assert!(chain(&e).contains(name.as_str()), "{}", chain(&e));
        assert_eq!(w.sums(), template.live);
        assert!(w.c().session("app").is_ok());
        assert_eq!(w.view().live().0, 2, "no history began");
    }
}
