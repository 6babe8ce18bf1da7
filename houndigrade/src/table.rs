//! Findings for people at a terminal. What disks say is shown without its control characters, which could take the terminal over.

use std::fmt::Write;

use cloudigrade_schemas::Findings;
use cloudigrade_schemas::findings::{ImageFindings, PartitionFindings};
use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{ContentArrangement, Table};

/// Findings as tables and notes.
pub fn table(findings: &Findings) -> String {
    let mut text = format!("{}\n", images(findings));
    for (id, image) in &findings.images {
        let _ = writeln!(text, "\n{}, by its volumes:\n{}", plain(id), volumes(image));
        for note in notes(image) {
            let _ = writeln!(text, "  {note}");
        }
    }
    text
}

fn bare_table(head: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic).set_header(head);
    table
}

fn images(findings: &Findings) -> Table {
    let mut table = bare_table(&["image", "RHEL", "distribution", "architecture", "inspected", "MB read"]);
    for (id, image) in &findings.images {
        table.add_row([
            plain(id),
            plain(answer(image.is_rhel)),
            plain(&distribution(image)),
            plain(image.architecture.as_deref().unwrap_or("-")),
            plain(image.inspected.word()),
            format!("{:.1}", image.bytes_read as f64 / 1e6),
        ]);
    }
    table
}

fn answer(is_rhel: Option<bool>) -> &'static str {
    match is_rhel {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unknown",
    }
}

fn distribution(image: &ImageFindings) -> String {
    match &image.distribution {
        Some(it) => [it.id.as_str(), it.version.as_deref().unwrap_or_default()].join(" ").trim_end().to_owned(),
        None => "-".to_owned(),
    }
}

fn volumes(image: &ImageFindings) -> Table {
    let mut table = bare_table(&["volume", "holds", "inspected", "what it says"]);
    for (name, volume) in image.drives.values().flatten() {
        table.add_row([plain(name), plain(&volume.contents), plain(volume.inspected.word()), plain(&said(volume))]);
    }
    table
}

fn said(volume: &PartitionFindings) -> String {
    if let Some(error) = &volume.error {
        return error.clone();
    }
    if let Some(system) = &volume.part_of {
        return format!("a part of the system on {system}");
    }
    let Some(facts) = &volume.facts else { return String::new() };
    let own = facts.os_release.as_ref().and_then(|own| own.name.clone().or_else(|| own.id.clone()));
    let packages = facts.rhel_signed_packages.databases.iter().max_by_key(|database| database.count);
    let packages = packages.map(|database| format!("{} packages, {} signed by Red Hat", database.count, database.red_hat_signed));
    let joined = volume.joined.iter().map(|part| format!("{} is {}", part.mounted_at, part.volume));
    let all: Vec<String> = own.into_iter().chain(packages).chain(joined).collect();
    if all.is_empty() && !facts.is_system { "no system".to_owned() } else { all.join("; ") }
}

fn notes(image: &ImageFindings) -> Vec<String> {
    let of = |word: &str, lines: &[String]| lines.iter().map(|line| format!("{word}: {}", plain(line))).collect::<Vec<_>>();
    let products = image.products.iter().map(|product| {
        let named = [product.name.as_deref(), product.version.as_deref(), product.architecture.as_deref()];
        format!("product {}: {}", plain(&product.id), plain(&named.into_iter().flatten().collect::<Vec<_>>().join(", ")))
    });
    let caveats =
        image.drives.values().flatten().flat_map(|(name, volume)| volume.caveats.iter().map(move |line| format!("{name}: {line}")));
    let caveats: Vec<String> = image.caveats.iter().cloned().chain(caveats).collect();
    let told = [("because", &image.reasons), ("although", &image.conflicts), ("error", &image.errors), ("note", &caveats)];
    products.chain(told.into_iter().flat_map(|(word, lines)| of(word, lines))).collect()
}

/// A text without control characters.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use cloudigrade_schemas::findings::{Distribution, Inspected};

    use super::*;

    #[test]
    fn the_verdict_its_reasons_and_each_volume_are_told_without_control_characters() {
        let mut image = ImageFindings {
            is_rhel: Some(true),
            inspected: Inspected::Partial,
            distribution: Some(Distribution { id: "rhel".into(), version: Some("9.4".into()), name: None }),
            reasons: vec!["/etc/os-release says ID=\u{1b}[31mrhel".into()],
            ..Default::default()
        };
        let volume = PartitionFindings { contents: "swap".into(), ..Default::default() };
        image.drives.entry("/dev/xvdb".into()).or_default().insert("/dev/xvdb1".into(), volume);
        let mut findings = Findings::default();
        findings.images.insert("ami-1".into(), image);
        let text = table(&findings);
        for part in ["ami-1", "yes", "rhel 9.4", "partial", "/dev/xvdb1", "swap", "because: /etc/os-release says ID= [31mrhel"] {
            assert!(text.contains(part), "{part} in {text}");
        }
        assert!(!text.contains('\u{1b}'));
    }
}
