//! What can be seen from outside, one binary for all of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on says so")]

mod acme; // a vendor that is YAML only, from examples/acme.yaml
mod app; // a service behind passthrough that answers each byte it should not have seen
mod bfl; // a provider and its strict sandbox: tasks, costs told once
mod big_cache; // a gigabyte of pictures on disk and kill -9
mod blame; // whose fault a vendor's answer is
mod bodies; // what bodies may take, alone and together
mod browser; // web pages, turned away or let in
mod budgets; // money that is set aside before it is spent
mod burst; // twenty times the usual traffic, in virtual time
mod cache; // reuse: variants, other words, what is purged
mod calibrate_command; // easel calibrate: which likeness of two embeddings is enough
mod check_command; // easel check: warnings, formats, exit codes
mod circles; // no two files use each other
mod client;
mod clients; // callers with keys of their own
mod commands; // the easel command: check, schema, demo, serve and its signals
mod compare_command; // easel compare: whether two prompts are the same picture
mod crowd; // single flight, concurrency caps, the queue
mod dashboard; // the page for people on call
mod dashboard_browser; // the same page in Chromium
mod dashscope; // a provider and its strict sandbox, both surfaces
mod deadlines; // how long a caller says that it waits
mod deploy; // containers, manifests and the unit, against other people's tools
mod desync; // requests whose end is not certain, and resets in their middle
mod docs; // README and docs/: what they show works
mod drain_delay; // `easel serve` is told to stop, and serves on for a while
mod durable;
mod editor; // the schema against the loader, our files in other tools
mod edits; // edits and variations, forms and JSON
mod enrich; // prompts rewritten before they are drawn
mod entra; // tokens for Azure
mod exchange;
mod explain; // what would become of a request
mod fal; // a provider and its strict sandbox, the queue
mod faults; // fifteen faults of the first provider, by every strategy
mod feedback; // a provider's own functions against a strict vendor
mod fuzz; // the fuzz targets, on what they begin with
mod golden; // wire formats against golden samples, no network
mod golden_minimum; // which of them there must be
mod golden_words; // the same for words
mod google; // Vertex AI's tokens
mod h2;
mod hedging; // a slow vendor, and another that is asked besides
mod hiccups; // trouble on the way to what is paid, and with connections
mod idempotency; // requests sent twice and paid for once
mod init; // a config for the keys that are there
mod invoice; // ten thousand requests, and what invoice and ledger have between them
mod invoice_gate; // the same where pictures are rejected at random
mod judge; // the judge in examples/judge, which reads the words on pictures
mod judge_command; // easel judge: the gate on files
mod learned; // pairs of words that a judge approves
mod live_and_batch; // people at a screen and a night's jobs at one provider
mod logs; // logs nobody reads, output nobody waits for
mod manifest; // Cargo.toml keeps its promises
mod meaning; // what a changed config makes of kept pictures
mod money; // invoice and ledger
mod near_embedding; // pictures found by embeddings: calibrated, certified, served, and in shadow mode
mod odd_sizes; // pictures that are not as they were asked for
mod outside_judge; // who is asked about pictures outside, and what becomes of them
mod packages; // what people install: manual, completions, the service and its config
mod painter; // a vendor whose pictures tell what they were drawn for
mod papers; // YAML that loads, floors that hold
mod passthrough; // what is not Easel's
mod pictures; // paid pictures in an odd dress: trailers, base64, more than asked
mod prices; // every kind of price, invoice and ledger
mod providers; // every provider, against its strict vendor
mod quality_fixtures; // drawn pictures, clean and with every defect
mod quality_gate; // what the quality gate does with pictures, over HTTP
mod quality_hostile; // files of somebody who means harm
mod quality_verdict; // the default gate against a drawn case
mod readers; // clients that read slowly, or not at all
mod reckoning; // random prices and answers, recorded and reckoned again
mod recovery; // a provider that comes back
mod refusals; // bad input
mod rejected; // pictures that come and are not delivered
mod reload; // config changes under traffic
mod reload_storm; // the same done to a running easel serve, a hundred times, and an upgrade among them
mod replies; // what replies may take, alone and together
mod request_story; // why one request cost what it did, by its id
mod scrape; // what scrapers see, several at once
mod scripted;
mod sdks; // packages that applications call with; heavy ones, installed by scripts/sdks
mod seeds; // which picture is which
mod serve; // requests that work
mod strangers; // what a connection of somebody unknown may take: time, size, number
mod stream; // answers as server-sent events
mod table; // docs' table of providers, cell by cell
mod tally; // a random tariff, reckoned by hand
mod tariffs; // every provider's prices, in Easel's words and in its vendor's
mod text_models; // prompts rewritten by models behind OpenAI's chat completions
mod tls; // real TLS, to providers and from clients
mod tools; // the official OpenAI package, promtool
mod tracing; // spans at a collector, and traces that are handed on
mod trouble; // failing providers, leaving clients, deadlines
mod upgrade; // a running easel serve starts its successor
mod vendors; // what a provider sends, against its strict sandbox
mod world;
