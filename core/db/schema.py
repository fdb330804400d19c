"""Append-only schema history of the workspace database (sqlite-utils Migrations)."""

from __future__ import annotations

from core.db import Database, Migrations

migrations = Migrations("brightrun")

_SCAFFOLDING = """
create table personas(
  id text primary key, persona_key text not null, name text not null, title text not null default '',
  summary text not null default '', demographics text not null default '{}', background text not null default '',
  communication_style text not null default '', emotional_baseline text not null default '',
  typical_questions text not null default '[]', is_active integer not null default 1, source_id text,
  created_at text not null, updated_at text not null, deleted_at text);
create unique index personas_key on personas(persona_key) where deleted_at is null;
create table emotional_arcs(
  id text primary key, emotional_arc_key text not null, name text not null, tier text not null,
  start_emotion text not null default '', end_emotion text not null default '', beats text not null default '[]',
  conversation_phase text not null default '', expected_outcome text not null default '',
  is_active integer not null default 1, source_id text,
  created_at text not null, updated_at text not null, deleted_at text);
create unique index emotional_arcs_key on emotional_arcs(emotional_arc_key) where deleted_at is null;
create table training_topics(
  id text primary key, training_topic_key text not null, name text not null, description text not null default '',
  category text not null default '', complexity text not null default 'moderate',
  key_learning_objective text not null default '', skills text not null default '[]',
  example_questions text not null default '[]', is_active integer not null default 1, source_id text,
  created_at text not null, updated_at text not null, deleted_at text);
create unique index training_topics_key on training_topics(training_topic_key) where deleted_at is null;
create table prompt_templates(
  id text primary key, template_key text not null, name text not null, tier text not null,
  emotional_arc_key text not null default '', description text not null default '', text text not null,
  is_active integer not null default 1, source_id text,
  created_at text not null, updated_at text not null, deleted_at text);
create unique index prompt_templates_key on prompt_templates(template_key) where deleted_at is null;
"""

_DATA = """
create table conversations(
  id text primary key, conversation_id text not null unique, title text not null, status text not null,
  tier text, persona_id text references personas(id), emotional_arc_id text references emotional_arcs(id),
  training_topic_id text references training_topics(id), template_id text references prompt_templates(id),
  persona_key text, emotional_arc_key text, training_topic_key text,
  source_id text, source_path text not null default '', source_ids text not null default '{}',
  content_hash text not null, turn_count integer not null, raw_response_path text, file_path text,
  enriched_file_path text, enrichment_status text not null default 'not_started', failed_stage text,
  enrichment_error text, quality_score real, quality_criteria text not null default '{}',
  warning_count integer not null default 0, human_reviewed integer not null default 0, reviewer_notes text,
  import_notes text not null default '[]', created_at text not null, updated_at text not null,
  enriched_at text, deleted_at text);
create unique index conversations_content on conversations(content_hash) where deleted_at is null;
create index conversations_order on conversations(created_at, id);
create table enrichment_stages(
  conversation_id text not null references conversations(id) on delete cascade, stage text not null,
  position integer not null, status text not null, findings text not null default '[]', duration_ms real not null,
  version text not null, finished_at text not null, primary key(conversation_id, stage));
create table training_files(
  id text primary key, name text not null, description text not null default '', json_file_path text,
  jsonl_file_path text, conversation_count integer not null default 0, total_training_pairs integer not null default 0,
  json_file_size integer not null default 0, jsonl_file_size integer not null default 0, avg_quality_score real,
  min_quality_score real, max_quality_score real, human_reviewed_count integer not null default 0,
  scaffolding_distribution text not null default '{}', status text not null, version integer not null default 0,
  content_hash text, created_at text not null, updated_at text not null, deleted_at text);
create unique index training_files_name on training_files(name) where deleted_at is null;
create table training_file_versions(
  training_file_id text not null references training_files(id) on delete cascade, version integer not null,
  json_file_path text not null, jsonl_file_path text not null, conversation_count integer not null,
  total_training_pairs integer not null, content_hash text not null, created_at text not null,
  primary key(training_file_id, version));
create table training_file_conversations(
  training_file_id text not null references training_files(id) on delete cascade,
  conversation_id text not null references conversations(conversation_id), added_at text not null,
  primary key(training_file_id, conversation_id));
"""

_TRAIN = """
create table base_models(
  id text primary key, name text not null, path text not null, kind text not null, architecture text not null,
  parameter_count integer not null, size_bytes integer not null, quantization text not null default '',
  vocab_size integer not null, context_length integer not null, structure_fingerprint text not null,
  content_fingerprint text not null, template_hash text not null, notes text not null default '[]',
  created_at text not null, deleted_at text);
create unique index base_models_path on base_models(path) where deleted_at is null;
create table datasets(
  id text primary key, name text not null, format text not null, source_path text not null default '',
  training_file_id text references training_files(id), training_file_version integer, file_path text,
  file_size integer not null default 0, content_hash text, status text not null,
  training_ready integer not null default 0, total_conversations integer not null default 0,
  total_validation_conversations integer not null default 0, total_training_pairs integer not null default 0,
  total_validation_pairs integer not null default 0, total_tokens integer,
  average_tokens real, max_tokens integer, counts text not null default '{}', stats text not null default '{}',
  sample text not null default '[]', validation_errors text not null default '[]',
  system_prompt text not null default '',
  created_at text not null, updated_at text not null, deleted_at text);
create table jobs(
  id text primary key, kind text not null, title text not null, status text not null, needs_gpu integer not null,
  resumable integer not null default 0, page text not null default '', params text not null,
  progress real not null default 0, done integer not null default 0, total integer not null default 0,
  current_stage text not null default '', message text not null default '', result text, error text,
  last_seq integer not null default 0, queued_at text not null, started_at text, finished_at text, deleted_at text);
create index jobs_status on jobs(status, queued_at);
create table import_items(
  id integer primary key, job_id text not null references jobs(id) on delete cascade, seq integer not null,
  file text not null, line integer not null default 0, field text not null default '', outcome text not null,
  code text not null default '', message text not null default '', hint text not null default '',
  target text not null default '', unique(job_id, seq));
create table training_jobs(
  id text primary key references jobs(id), name text not null, dataset_id text not null references datasets(id),
  base_model_id text not null references base_models(id), preset text not null, hyperparameters text not null,
  total_epochs integer not null default 0, current_epoch integer not null default 0,
  total_steps integer not null default 0, current_step integer not null default 0, estimate text not null default '{}',
  current_metrics text not null default '{}', hardware text not null default '{}', baseline_loss real, final_loss real,
  best_loss real, best_step integer, counts text not null default '{}', artifact_id text, deleted_at text);
create table metrics_points(
  job_id text not null references jobs(id) on delete cascade, step integer not null, epoch real not null default 0,
  train_loss real, validation_loss real, learning_rate real, grad_norm real, tokens integer, tokens_per_second real,
  peak_memory integer, elapsed_s real, primary key(job_id, step));
create table model_artifacts(
  id text primary key, type text not null, name text not null, training_job_id text references training_jobs(id),
  base_model_id text not null references base_models(id), dataset_id text references datasets(id), path text not null,
  size_bytes integer not null, sha256 text not null, passport text not null default '{}',
  verdict text not null default '',
  created_at text not null, deleted_at text);
create table chats(
  id text primary key, title text not null, base_model_id text not null references base_models(id),
  artifact_id text references model_artifacts(id), system_prompt text not null default '',
  sampling text not null default '{}', created_at text not null, updated_at text not null, deleted_at text);
create table chat_messages(
  id text primary key, chat_id text not null references chats(id) on delete cascade, position integer not null,
  role text not null, content text not null, status text not null, artifact_id text, stats text not null default '{}',
  created_at text not null, unique(chat_id, position));
create table notifications(
  id text primary key, type text not null, title text not null, message text not null default '',
  priority text not null default 'normal', action text not null default '', read_at text, created_at text not null);
"""


_CORRECTIONS = """
create table corrections(
  id text primary key, title text not null, system_prompt text not null default '', messages text not null,
  words text not null, original text not null, answer text not null, chat_id text, message_id text,
  base_model_id text, artifact_id text, dataset_name text not null default '', created_at text not null,
  updated_at text not null, deleted_at text);
create unique index corrections_message on corrections(message_id, original) where deleted_at is null
"""


_GENERATION = """
create table batch_jobs(
  id text primary key references jobs(id), name text not null, status text not null, tier text not null default '',
  total_items integer not null, provider text not null, model text not null, mode text not null,
  settings text not null, library text not null, plan_name text not null default '', seed integer not null default 0,
  completed_items integer not null default 0, failed_items integer not null default 0,
  estimate text, spent_usd text not null default '0', unsure_usd text not null default '0',
  saved_usd text not null default '0', requests integer not null default 0, lost_requests integer not null default 0,
  unknown_prices integer not null default 0, remote text not null default '[]', notices text not null default '[]',
  created_at text not null, updated_at text not null, deleted_at text);
create index batch_jobs_order on batch_jobs(created_at);
create table batch_items(
  id text primary key, batch_job_id text not null references batch_jobs(id) on delete cascade,
  position integer not null, conversation_id text references conversations(id) on delete set null, status text not null,
  spec text not null, signature text not null, persona_key text not null, emotional_arc_key text not null,
  training_topic_key text not null, template_key text not null, turns integer not null,
  turns_done integer not null default 0, beats text not null default '[]', title text not null default '',
  failure text not null default '', message text not null default '', cost_usd text not null default '0',
  updated_at text not null, unique(batch_job_id, position));
create index batch_items_signature on batch_items(signature);
create index batch_items_conversation on batch_items(conversation_id);
create index batch_items_status on batch_items(batch_job_id, status);
create table failed_generations(
  id integer primary key, batch_job_id text not null references batch_jobs(id) on delete cascade,
  batch_item_id text not null references batch_items(id) on delete cascade, seq integer not null, kind text not null,
  turn integer not null default 0, category text not null default '', error text not null, asked text not null,
  raw text not null default '', transient integer not null default 0, resolved_at text, created_at text not null,
  unique(batch_job_id, seq));
create index failed_generations_item on failed_generations(batch_item_id);
create table cost_records(
  id integer primary key, batch_job_id text references batch_jobs(id) on delete set null,
  record_key text not null unique, batch_item_id text, provider text not null, model text not null,
  outcome text not null, request_id text not null default '', message_id text not null default '',
  remote_batch_id text not null default '',
  service_tier text not null default '', inference_geo text not null default '',
  input_tokens integer, output_tokens integer, cache_write_5m_tokens integer, cache_write_1h_tokens integer,
  cache_read_tokens integer, thinking_tokens integer, stop_reason text not null default '',
  usd text, most_usd text, price_date text not null default '', created_at text not null);
create index cost_records_batch on cost_records(batch_job_id);
create index cost_records_day on cost_records(created_at);
"""

# `number` is the row of the full text: row ids of a table without an integer key may change when SQLite vacuums.
# `searched` is what a search looks into besides the turns, folded once: to fold it for every row of every search would
# take longer than the search may. Triggers keep it, whoever writes.
_READING = """
alter table conversations add column enriched_hash text;
alter table conversations add column edited_at text;
alter table conversations add column human_criteria text not null default '{}';
alter table conversations add column human_score real;
alter table conversations add column number integer;
alter table conversations add column check_flags integer not null default 0;
alter table conversations add column searched text not null default '';
create table conversation_digests(
  number integer primary key, conversation_id text not null unique references conversations(id) on delete cascade,
  content_hash text not null, version integer not null,
  checks text not null default '[]', signature blob not null, near_id text, near_share real);
create table conversation_buckets(
  bucket integer not null, number integer not null references conversation_digests(number) on delete cascade,
  primary key(bucket, number)) without rowid;
create index conversation_buckets_number on conversation_buckets(number);
create virtual table conversation_search using fts5(words, tokenize="unicode61 remove_diacritics 2");
create table conversation_versions(
  conversation_id text not null references conversations(id) on delete cascade, version integer not null,
  title text not null, file_path text not null, content_hash text not null, turn_count integer not null,
  created_at text not null, primary key(conversation_id, version));
create table conversation_tags(
  conversation_id text not null references conversations(id) on delete cascade, tag text not null collate nocase,
  primary key(conversation_id, tag)) without rowid;
create index conversation_tags_tag on conversation_tags(tag)
"""
_SEARCHED = (
    "update conversations set searched = fold(title || ' ' || coalesce(reviewer_notes, '') || ' ' ||"
    " coalesce(persona_key, '') || ' ' || coalesce(emotional_arc_key, '') || ' ' || coalesce(training_topic_key, ''))"
)
_READING_TRIGGERS = (
    "create trigger conversation_digests_gone after delete on conversation_digests begin"
    " delete from conversation_search where rowid = old.number; end",
    f"create trigger conversations_searched after insert on conversations begin {_SEARCHED} where id = new.id; end",
    "create trigger conversations_searched_again after update of title, reviewer_notes, persona_key,"
    f" emotional_arc_key, training_topic_key on conversations begin {_SEARCHED} where id = new.id; end",
)

_PROJECTS = """
create table projects(
  id text primary key, name text not null, root text not null, embedder text not null default '',
  base_model_id text references base_models(id) on delete set null,
  artifact_id text references model_artifacts(id) on delete set null,
  settings text not null default '{}', summary text not null default '{}', state text not null default '{}',
  indexed_at text, opened_at text, created_at text not null, updated_at text not null, deleted_at text);
create unique index projects_name on projects(name) where deleted_at is null;
create unique index projects_root on projects(root) where deleted_at is null;
create table analyses(
  key text primary key, project_id text not null references projects(id) on delete cascade, question text not null,
  answer text not null, stats text not null default '{}', artifact_id text, index_state text not null,
  uses integer not null default 1, created_at text not null, used_at text not null);
create index analyses_project on analyses(project_id, used_at)
"""

_SIBLINGS = """
create table base_siblings(
  base_id text not null references base_models(id) on delete cascade,
  other_id text not null references base_models(id) on delete cascade,
  fits integer not null, points text not null, contents text not null, checked_at text not null,
  primary key(base_id, other_id));
create table ollama_shares(
  address text not null, name text not null, digest text not null,
  artifact_id text not null references model_artifacts(id) on delete cascade,
  base_id text references base_models(id) on delete set null, way text not null, adapter_sha256 text not null,
  same integer not null, asked integer not null, created_at text not null, primary key(address, name));
create table adapter_parity(
  artifact_id text not null references model_artifacts(id) on delete cascade,
  base_id text not null references base_models(id) on delete cascade, same real not null, drift real not null,
  left_over real not null, tokens integer not null, contents text not null, measured_at text not null,
  primary key(artifact_id, base_id))
"""


@migrations()
def m001_settings(db: Database) -> None:
    """Settings of the workspace, JSON a row."""
    db.execute("create table settings(key text primary key, value text not null)")


@migrations()
def m002_scaffolding(db: Database) -> None:
    """Personas, arcs, topics, templates: names as in the reference system."""
    _run(db, _SCAFFOLDING)


@migrations()
def m003_data_platform(db: Database) -> None:
    """Conversations, their enrichment, training files with versions."""
    _run(db, _DATA)


@migrations()
def m004_training_and_chat(db: Database) -> None:
    """Bases, datasets, jobs with metrics, artefacts, chats."""
    _run(db, _TRAIN)


@migrations()
def m005_engine(db: Database) -> None:
    """Which engine answers with a base: a name in `core.registries.ENGINES`."""
    db.execute("alter table base_models add column engine text not null default 'mlx'")


@migrations()
def m006_lanes(db: Database) -> None:
    """A job names its lane instead of whether it needs the GPU, its place in the queue, and the jobs it waits for."""
    db.execute("alter table jobs add column lane text not null default 'data'")
    db.execute("alter table jobs add column position integer not null default 0")
    db.execute("alter table jobs add column waits_for text not null default '[]'")
    db.execute("update jobs set lane = 'gpu' where needs_gpu")
    db.execute(
        "update jobs set position = place from"
        " (select id as job, row_number() over (order by queued_at, rowid) as place from jobs) where jobs.id = job"
    )
    db.execute("alter table jobs drop column needs_gpu")


@migrations()
def m007_job_keys(db: Database) -> None:
    """What went into a job, as one hash, so that the same work is found again; empty where it is not needed."""
    db.execute("alter table jobs add column key text not null default ''")
    db.execute("create index jobs_key on jobs(kind, key) where key <> ''")


@migrations()
def m008_generation(db: Database) -> None:
    """Batches of conversations from a model: their items, what failed, what each reply cost."""
    _run(db, _GENERATION)


@migrations()
def m009_reading(db: Database) -> None:
    """What is read out of a conversation's turns (words to search, checks, likeness), its versions, ratings, tags.

    The digests of conversations that are there already are made by the job `check_conversations`.
    """
    _run(db, _READING)
    db.execute(_SEARCHED)
    for trigger in _READING_TRIGGERS:
        db.execute(trigger)


@migrations()
def m010_rendering(db: Database) -> None:
    """Tokenizer and chat template of a base as one hash; empty for bases added before it was kept."""
    db.execute("alter table base_models add column rendering_fingerprint text not null default ''")


@migrations()
def m011_chats(db: Database) -> None:
    """Chats can be pinned, an answer keeps the others that were given in its place.

    A system prompt follows the adapter unless it is pinned, as one that was written by hand is.
    """
    db.execute("alter table chats add column pinned integer not null default 0")
    db.execute("alter table chats add column prompt_pinned integer not null default 0")
    db.execute("alter table chat_messages add column others text not null default '[]'")
    db.execute("alter table chat_messages add column place integer not null default 0")
    db.execute(
        "update chats set prompt_pinned = 1 where system_prompt <> coalesce((select a.passport ->> '$.system_prompt'"
        " from model_artifacts a where a.id = chats.artifact_id), '')"
    )


@migrations()
def m012_chat_memory(db: Database) -> None:
    """A chat's older messages as a summary, branches, files that go with a question; answers kept to train on."""
    db.execute("alter table chats add column summary text not null default ''")
    db.execute("alter table chats add column summary_upto integer not null default 0")
    db.execute("alter table chats add column branched_from text references chats(id) on delete set null")
    db.execute("alter table chat_messages add column attachments text not null default '[]'")
    _run(db, _CORRECTIONS)


@migrations()
def m013_projects(db: Database) -> None:
    """Folders of code that an assistant knows, their chats, and answers that can be given again.

    `state` is what a project is left with (chat, draft, place in it), `summary` its index as it was last seen.
    """
    _run(db, _PROJECTS)
    db.execute("alter table chats add column project_id text references projects(id) on delete set null")


@migrations()
def m014_ollama(db: Database) -> None:
    """Bases that Ollama hosts; whether adapters of one base fit another, with the points line by line; adapters that
    are models in Ollama too; what is left of an adapter on a base in another format."""
    db.execute("alter table base_models add column ollama text not null default ''")
    _run(db, _SIBLINGS)


@migrations()
def m015_trashed_batches(db: Database) -> None:
    """The jobs of batches in the trash are there too; before, they could be resumed."""
    db.execute(
        "update jobs set deleted_at = (select b.deleted_at from batch_jobs b where b.id = jobs.id)"
        " where id in (select id from batch_jobs where deleted_at is not null)"
    )


def _run(db: Database, script: str) -> None:
    # executescript() would commit, and a migration must share one transaction with its record.
    for statement in script.split(";"):
        if statement.strip():
            db.execute(statement)
