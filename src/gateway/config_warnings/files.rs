//! Files and directories that the config names and that cannot be used, and a certificate that ends. They are looked at
//! and not changed: whether a directory could be made is told by what is above it.

use std::path::Path;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;

use crate::calendar::{Moment, Zone};
use crate::config::plan::Plan;
use crate::config::{PlacedWarning, Warning};
use crate::gateway::config_warnings::place::keys;
use crate::gateway::read_file;

/// Whoever has certificates renewed has them renewed 30 days before their end, so two weeks before it has failed.
pub const CERTIFICATE_NEAR: Duration = Duration::from_secs(14 * 86_400);

/// `here`: on this machine, so that there is something to look at.
pub(super) fn files(plan: &Plan, now: Moment, here: bool) -> Vec<PlacedWarning> {
    let mut found = Vec::new();
    let mut unusable = |place: &[&str], path: &Path, why: String| {
        found.push(PlacedWarning {
            warning: Warning::UnusableFile,
            place: keys(place),
            what: format!("{} cannot be used: {why}", path.display()),
            help: "check the path, what is there, and who may read and write it".to_owned(),
        });
    };
    let directories = [
        (&["server", "state_dir"][..], plan.server.state_dir.as_deref()),
        (&["cache", "disk", "dir"], plan.disk_cache.as_ref().map(|disk| disk.dir.as_path())),
        (&["quality", "keep_rejected", "dir"], plan.quality.keep_rejected.as_ref().map(|kept| kept.dir.as_path())),
    ];
    for (place, dir) in directories {
        let why = dir.and_then(|dir| as_on_windows(dir).or_else(|| not_writable(dir).filter(|_| here)));
        if let (Some(dir), Some(why)) = (dir, why) {
            unusable(place, dir, why);
        }
    }
    if let Some(tls) = plan.server.tls.as_ref().filter(|_| here) {
        if let Err(why) = read_file::bytes(&tls.key, read_file::REFERRED) {
            unusable(&["server", "tls", "key"], &tls.key, why);
        }
        match read_file::bytes(&tls.cert, read_file::REFERRED) {
            Err(why) => unusable(&["server", "tls", "cert"], &tls.cert, why),
            Ok(pem) => match end_of(&pem) {
                None => unusable(&["server", "tls", "cert"], &tls.cert, "there is no certificate in it".to_owned()),
                Some(end) => found.extend(warn_of_certificate(end, now)),
            },
        }
    }
    found
}

fn warn_of_certificate(end: Moment, now: Moment) -> Option<PlacedWarning> {
    if now.after(CERTIFICATE_NEAR) < end {
        return None;
    }
    let day = Zone::default().date(end);
    let what = match now >= end {
        true => format!("the certificate ended on {day}: no client that checks it connects"),
        false => format!("the certificate ends on {day}"),
    };
    let help = "renew it; Easel reads it again when the file changes".to_owned();
    Some(PlacedWarning { warning: Warning::CertificateEnds, place: keys(&["server", "tls", "cert"]), what, help })
}

/// When the first certificate of a chain ends: the server's own.
fn end_of(pem: &[u8]) -> Option<Moment> {
    let der = CertificateDer::from_pem_slice(pem).ok()?;
    let (_, certificate) = x509_parser::parse_x509_certificate(&der).ok()?;
    let seconds = certificate.validity().not_after.timestamp();
    Some(Moment::from_millis(seconds.saturating_mul(1000)))
}

/// What is wrong with a path that another system means something else by.
fn as_on_windows(dir: &Path) -> Option<String> {
    let written = dir.to_string_lossy();
    let drive = written.get(1..3).is_some_and(|rest| rest == ":\\" || rest == ":/");
    (cfg!(unix) && (drive || written.starts_with("\\\\")))
        .then(|| "it is written as on Windows, and here it would be a name in the working directory".to_owned())
}

/// Why nothing can be written in a directory; `None` where it can, or where it can be made.
fn not_writable(dir: &Path) -> Option<String> {
    let absolute = std::path::absolute(dir).ok()?;
    let there = absolute.ancestors().find(|path| path.exists())?;
    if !there.is_dir() {
        return Some(format!("{} is no directory", there.display()));
    }
    let new = if there == absolute { String::new() } else { format!(", so {} cannot be made", dir.display()) };
    may_write(there).err().map(|why| format!("{} cannot be written{new} ({why})", there.display()))
}

#[cfg(unix)]
fn may_write(dir: &Path) -> std::io::Result<()> {
    use rustix::fs::{Access, access};

    Ok(access(dir, Access::WRITE_OK | Access::EXEC_OK)?)
}

/// Elsewhere it is found out when it is written.
#[cfg(not(unix))]
fn may_write(_dir: &Path) -> std::io::Result<()> {
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateway::config_loader::{ProcessEnv, check};

    const NOW: &str = "2026-11-30T00:00:00Z";

    fn told(server: &str) -> Vec<(Warning, String)> {
        let text = format!(
            "server: {{{server}}}\nproviders: {{p: {{kind: stability, api_key: k, models: {{core: {{price: 0.03}}}}}}}}\n\
             routes: [{{name: r, offers: [p/core]}}]\n"
        );
        let plan = check("easel.yaml", &text, &ProcessEnv).unwrap_or_else(|problems| panic!("{problems}"));
        files(&plan, NOW.parse().unwrap(), true).into_iter().map(|one| (one.warning, one.what)).collect()
    }

    #[test]
    fn a_directory_that_cannot_be_one_is_told_and_one_that_can_be_made_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let (new, file) = (dir.path().join("a/b"), dir.path().join("file"));
        std::fs::write(&file, "").unwrap();
        assert_eq!(told(&format!("state_dir: '{}'", new.display())), []);
        for below in [&file, &file.join("state")] {
            let told = told(&format!("state_dir: '{}'", below.display()));
            assert!(
                matches!(told.as_slice(), [(Warning::UnusableFile, what)] if what.contains("is no directory")),
                "{told:?}"
            );
        }
        let windows = told(r"state_dir: 'C:\easel'");
        assert!(
            matches!(windows.as_slice(), [(Warning::UnusableFile, what)] if what.contains("as on Windows")),
            "{windows:?}"
        );
    }

    #[test]
    fn a_certificate_that_is_not_there_is_none_or_ends_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let (cert, key) = (dir.path().join("cert.pem"), dir.path().join("key.pem"));
        let tls = format!("tls: {{cert: '{}', key: '{}'}}", cert.display(), key.display());
        let words = |tls: &str| told(tls).into_iter().map(|(word, _)| word).collect::<Vec<_>>();
        assert_eq!(words(&tls), [Warning::UnusableFile, Warning::UnusableFile]);
        std::fs::write(&key, "a key").unwrap();
        std::fs::write(&cert, "no certificate").unwrap();
        assert_eq!(words(&tls), [Warning::UnusableFile]);
        for (day, expected) in [
            ((2026, 12, 30), None),
            ((2026, 12, 13), Some("ends on 2026-12-13")),
            ((2026, 11, 29), Some("ended on 2026-11-29")),
        ] {
            let mut params = rcgen::CertificateParams::new(vec!["easel.test".to_owned()]).unwrap();
            params.not_after = rcgen::date_time_ymd(day.0, day.1, day.2);
            let pair = rcgen::KeyPair::generate().unwrap();
            std::fs::write(&cert, params.self_signed(&pair).unwrap().pem()).unwrap();
            let told = told(&tls);
            match expected {
                None => assert_eq!(told, []),
                Some(part) => {
                    assert!(
                        matches!(told.as_slice(), [(Warning::CertificateEnds, what)] if what.contains(part)),
                        "{told:?}"
                    );
                }
            }
        }
    }
}
