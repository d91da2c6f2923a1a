use std::fs;
use std::sync::{Arc, Mutex};

use towpath_engine::secret::Secret;

use super::*;
use crate::database::{Database as _, server};

struct Fixture {
    _server: Arc<server::Server>,
    database: Arc<Postgres>,
    dir: tempfile::TempDir,
    options: Options,
}

fn fixture() -> Fixture {
    let server = server::shared();
    let database = Arc::new(Postgres::new(&Secret::new(server.database()), 4).unwrap());
    Fixture { _server: server, database, dir: tempfile::tempdir().unwrap(), options: Options::default() }
}

impl Fixture {
    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.dir.path().join(name), text).unwrap();
    }

    async fn upload(&self) -> Summary {
        run(&self.database, self.dir.path(), &self.options, &|_| {}).await.unwrap()
    }

    /// Uploads and returns the only failure without the folder's name.
    async fn failure(&self) -> String {
        let mut summary = self.upload().await;
        assert_eq!(summary.failed.len(), 1, "{:?}", summary.uploaded);
        let text = summary.failed.remove(0).to_string();
        text.replace(&format!("{}/", self.dir.path().display()), "")
    }

    async fn query(&self, sql: &str) -> String {
        let rows = self.database.query(sql).await.unwrap().rows;
        let row = |row: &Vec<Option<String>>| {
            row.iter().map(|value| value.as_deref().unwrap_or("NULL")).collect::<Vec<_>>().join("|")
        };
        rows.iter().map(row).collect::<Vec<_>>().join(" ")
    }
}

#[tokio::test]
async fn the_club_data_arrives_whole_with_types_and_keys() {
    let fixture = fixture();
    crate::sample::club(1, 1, fixture.dir.path()).unwrap();
    let events = Mutex::new(Vec::new());
    let on_event = |event| events.lock().unwrap().push(event);
    let summary = run(&fixture.database, fixture.dir.path(), &fixture.options, &on_event).await.unwrap();
    assert!(summary.failed.is_empty(), "{:?}", summary.failed);
    let loaded: Vec<_> = summary.uploaded.iter().map(|file| (file.table.as_str(), file.rows)).collect();
    assert_eq!(loaded, [("event_rsvps", 150_000), ("events", 30_000), ("memberships", 40_000), ("teams", 3_000)]);
    let types = "select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum) \
                 from pg_attribute where attrelid = 'events'::regclass and attnum > 0";
    assert_eq!(
        fixture.query(types).await,
        "id character varying(36), team_id character varying(36), title character varying(128), \
         kind character varying(64), starts_at character varying(64), ends_at character varying(64), \
         latitude double precision, longitude double precision, created_at character varying(64), \
         updated_at character varying(64)"
    );
    let known = "select (select count(*) from event_rsvps where membership_id is null), \
                 (select count(*) from events where latitude is null), \
                 (select count(*) from memberships m where not exists (select 1 from teams t where t.id = m.team_id)), \
                 (select count(*) from events where title like '%' || chr(10) || '%') > 100, \
                 (select count(*) from pg_constraint where contype = 'p' and connamespace = 'public'::regnamespace), \
                 (select max(starts_at::timestamptz) > '2025-01-01' from events), \
                 (select count(*) from event_rsvps where attended) > 1000";
    assert_eq!(fixture.query(known).await, "102|8853|313|t|4|t|t");
    let sent = |event: &UploadEvent| matches!(event, UploadEvent::FileProgressed { sent, bytes, .. } if sent == bytes);
    assert_eq!(events.into_inner().unwrap().iter().filter(|event| sent(event)).count(), 4);

    let again = fixture.upload().await;
    assert!(again.uploaded.iter().all(|file| file.outcome == Outcome::Unchanged), "{again:?}");
    let known = loaded_at(&fixture.database, "public").await.unwrap();
    assert_eq!(known["teams"], summary.uploaded[3].loaded_at);
    assert_eq!(again.uploaded[3].loaded_at, summary.uploaded[3].loaded_at);
}

#[tokio::test]
async fn null_empty_text_marks_and_windows_lines_arrive_as_meant() {
    let fixture = fixture();
    fixture.write("Odd \"name\".csv", "\u{feff}Key,select\r\n,\"\"\r\n\"a \"\"b\"\"\",\"x\r\ny\"\r\n");
    let summary = fixture.upload().await;
    assert!(summary.failed.is_empty(), "{:?}", summary.failed);
    assert_eq!(fixture.query(r#"select "Key", "select" from "Odd ""name""""#).await, "NULL| a \"b\"|x\r\ny");
}

#[tokio::test]
async fn a_changed_file_replaces_its_table_and_only_its() {
    let fixture = fixture();
    fixture.write("a.csv", "id,n\n1,5\n");
    fixture.write("b.csv", "id\n1\n");
    let first = fixture.upload().await;
    fixture.write("a.csv", "id,n,extra\n1,x,2\n2,,3\n");
    let second = fixture.upload().await;
    assert!(second.failed.is_empty(), "{:?}", second.failed);
    let outcomes: Vec<_> = second.uploaded.iter().map(|file| file.outcome.clone()).collect();
    assert_eq!(outcomes, [Outcome::Loaded, Outcome::Unchanged]);
    assert!(second.uploaded[0].loaded_at > first.uploaded[0].loaded_at);
    assert_eq!(fixture.query("select * from a order by id").await, "1|x|2 2|NULL|3");
    let tables = "select string_agg(relname, ' ' order by relname) from pg_class \
                  where relnamespace = 'public'::regnamespace";
    assert_eq!(fixture.query(tables).await, "a a_pkey b b_pkey");
}

#[tokio::test]
async fn declared_types_are_used_and_a_bad_row_is_named() {
    let mut fixture = fixture();
    let types = [("at", "timestamptz"), ("n", "numeric(10,2)")].map(|(name, kind)| (name.to_owned(), kind.to_owned()));
    fixture.options.types.insert("t".to_owned(), types.into());
    fixture.write("t.csv", "id,at,n\n1,2024-05-03 19:45:00+02,1.5\n");
    assert!(fixture.upload().await.failed.is_empty());
    assert_eq!(fixture.query("select * from t").await, "1|2024-05-03 17:45:00+00|1.50");

    fixture.write("t.csv", "id,at,n\n1,\"2024-05-03\n19:45\",1\n2,soon,1.5\n");
    let failure = fixture.failure().await;
    assert!(failure.starts_with("t.csv:4: column `at`: invalid input syntax"), "{failure}");
    assert!(failure.ends_with("(value: soon)"), "{failure}");
    assert_eq!(fixture.query("select * from t").await, "1|2024-05-03 17:45:00+00|1.50");

    fixture.options.types.get_mut("t").unwrap().insert("n".to_owned(), "nummer".to_owned());
    let failure = fixture.failure().await;
    assert!(failure.contains("the declared type of `n` cannot be used: type \"nummer\" does not exist"), "{failure}");
    fixture.options.types.get_mut("t").unwrap().insert("n".to_owned(), "int); drop table t; --".to_owned());
    assert!(fixture.failure().await.contains("is not the name of a type"));
    fixture.options.types.get_mut("t").unwrap().insert("m".to_owned(), "int".to_owned());
    fixture.options.types.get_mut("t").unwrap().remove("n");
    assert!(fixture.failure().await.contains("no such column; it has id, at, n"));
}

#[tokio::test]
async fn broken_files_are_named_with_line_and_column_and_do_not_stop_the_others() {
    let fixture = fixture();
    fixture.write("good.csv", "id\n1\n");
    let cases: [(&[u8], &str); 8] = [
        (b"a,b\n1\n", "bad.csv:2: 1 fields, but the header names 2"),
        (b"a,b\n1,x\"y\n", "bad.csv:2: column `b`: a quote stands inside"),
        (b"a,b\n1,caf\xE9\n", "bad.csv:2: column `b`: byte 0xE9 is not UTF-8"),
        (b"", "bad.csv:1: the file is empty"),
        (b"a,a\n", "bad.csv:1: the header names column `a` twice"),
        (b"a,\n", "bad.csv:1: column 2 of the header has no name"),
        (b"id,b\n1,\n,2\n", "bad.csv:3: column `id`: is empty, but it is the key"),
        (b"id,b\n7,\"\n\"\n8,\n7,2\n", "bad.csv:5: `id` is 7 here and on line 2, but it is the key"),
    ];
    for (text, expected) in cases {
        fixture.write("bad.csv", text);
        let failure = fixture.failure().await;
        assert!(failure.starts_with(expected), "{failure}");
    }
    assert_eq!(fixture.query("select count(*), to_regclass('bad') from good").await, "1|NULL");
}

#[tokio::test]
async fn a_table_of_somebody_else_is_left_alone_unless_replacing_is_allowed() {
    let mut fixture = fixture();
    fixture.database.execute("create table t as select 9 as id").await.unwrap();
    fixture.write("t.csv", "id\n1\n");
    assert!(fixture.failure().await.starts_with("t.csv: the table public.t exists and was not uploaded"));
    assert_eq!(fixture.query("select * from t").await, "9");
    fixture.options.replace = true;
    assert!(fixture.upload().await.failed.is_empty());
    assert_eq!(fixture.query("select * from t").await, "1");
}

#[tokio::test]
async fn an_upload_cut_off_in_the_middle_leaves_the_old_table() {
    let fixture = fixture();
    fixture.write("t.csv", "id,text\n1,old\n");
    fixture.upload().await;
    let rows =
        (0..300_000).fold("id,text\n".to_owned(), |rows, id| rows + &format!("{id},some text to fill the row\n"));
    fixture.write("t.csv", rows);
    let (sender, mut half_way) = tokio::sync::mpsc::unbounded_channel();
    let on_event = move |event| {
        if matches!(event, UploadEvent::FileProgressed { sent, bytes, .. } if sent > bytes / 2) {
            sender.send(()).ok();
        }
    };
    let upload = run(&fixture.database, fixture.dir.path(), &fixture.options, &on_event);
    tokio::select! {
        biased;
        _ = half_way.recv() => {}
        _ = upload => panic!("the upload was not cut off"),
    }
    assert_eq!(fixture.query("select * from t").await, "1|old");
    let summary = fixture.upload().await;
    assert!(summary.failed.is_empty(), "{:?}", summary.failed);
    assert_eq!(summary.uploaded[0].rows, 300_000);
    assert_eq!(fixture.query("select count(*) from t").await, "300000");
}

#[tokio::test]
async fn a_missing_folder_and_one_without_files_are_told_apart() {
    let fixture = fixture();
    let failure = |path: PathBuf| {
        let (database, options) = (fixture.database.clone(), fixture.options.clone());
        async move { run(&database, &path, &options, &|_| {}).await.unwrap_err() }
    };
    assert!(matches!(failure(fixture.dir.path().to_owned()).await, UploadError::NoFiles { .. }));
    assert!(matches!(failure(fixture.dir.path().join("x")).await, UploadError::Read { .. }));
}
