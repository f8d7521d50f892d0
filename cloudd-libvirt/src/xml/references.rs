//! The storage that a document of a domain or snapshot refers to.
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

use super::Node;
use super::tree::Unreadable;

/// All references to storage in one document.
///
/// libvirt has many elements that name a file (`<source>` in its forms, `<mirror>`, `<kernel>`,
/// `<nvram>`, the arguments of `<qemu:commandline>`), and every version adds some. So every attribute
/// and every text counts, except those of elements that name no files.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct References {
    /// All values that contain a slash.
    values: Vec<String>,
    /// Volumes, by pool and name.
    pub(crate) volumes: Vec<(String, String)>,
    /// The last layer that is listed for a disk whose backing file is not listed. libvirt lists the
    /// backing files of running domains only.
    pub(crate) open_chains: Vec<Layer>,
}

/// A file, block device or volume that is a layer of a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Layer {
    Path(String),
    Volume { pool: String, name: String },
}

impl References {
    pub(crate) fn read(xml: &str) -> Result<Self, Unreadable> {
        let mut references = Self::default();
        references.collect(&Node::parse(xml)?);
        Ok(references)
    }

    fn collect(&mut self, node: &Node) {
        // Of other programs, or for people.
        if matches!(node.name(), "metadata" | "title" | "description") {
            return;
        }
        let values = node.values().chain([node.text()]);
        self.values.extend(values.filter(|value| value.contains('/')).map(str::to_owned));
        if let (Some(pool), Some(name)) = (node.attribute("pool"), node.attribute("volume")) {
            self.volumes.push((pool.to_owned(), name.to_owned()));
        }
        if node.name() == "disk" {
            self.open_chains.extend(open_end(node));
        }
        for child in node.children() {
            self.collect(child);
        }
    }

    /// Whether a value is this path or contains it, as an argument of QEMU or a URL does.
    pub(crate) fn mention(&self, path: &str) -> bool {
        self.values.iter().any(|value| contains_path(value, path))
    }

    /// The values that are paths.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(String::as_str).filter(|value| value.starts_with('/'))
    }
}

/// The last listed layer of a disk. `None` if its format has no backing files or the list is complete;
/// libvirt ends it with an empty `<backingStore/>`.
fn open_end(disk: &Node) -> Option<Layer> {
    let mut layer = disk;
    while let Some(backing) = layer.at("backingStore") {
        if backing.children().is_empty() {
            return None;
        }
        layer = backing;
    }
    let format = layer.at("driver").or_else(|| layer.at("format"))?.attribute("type")?;
    if format == "raw" {
        return None;
    }
    let source = layer.at("source")?;
    match (source.attribute("pool"), source.attribute("volume")) {
        (Some(pool), Some(name)) => {
            Some(Layer::Volume { pool: pool.to_owned(), name: name.to_owned() })
        }
        _ => {
            let path = source.attribute("file").or_else(|| source.attribute("dev"))?;
            Some(Layer::Path(path.to_owned()))
        }
    }
}

/// Whether a value is this path or contains it as a whole.
pub(crate) fn contains_path(value: &str, path: &str) -> bool {
    let contains = |value: &str| {
        value.split(path).skip(1).any(|rest| {
            !rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_'))
        })
    };
    if path.is_empty() {
        return false;
    }
    // Commas are doubled on QEMU's command line, slashes may be escaped in JSON.
    contains(value) || contains(&value.replace(",,", ",").replace("\\/", "/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/pool/image.qcow2";

    fn domain(devices: &str) -> String {
        format!(
            "<domain type='kvm' xmlns:qemu='q'><name>a</name><metadata><x path='{PATH}'/></metadata>\
             <description>{PATH}</description><devices>{devices}</devices></domain>"
        )
    }

    #[test]
    fn every_way_to_name_a_file_is_a_reference() {
        for reference in [
            "<disk type='file'><source file='PATH'/></disk>",
            "<disk type='block'><source dev='PATH'/></disk>",
            "<disk type='file'><source file='/a'/><backingStore type='file'><source file='/b'/>\
             <backingStore type='file'><source file='PATH'/><backingStore/></backingStore>\
             </backingStore></disk>",
            "<disk type='file'><source file='/a'/><mirror type='file' job='copy'>\
             <source file='PATH'/></mirror></disk>",
            "<disk type='file'><source file='/a'/><mirror file='PATH'/></disk>",
            "<disk type='file'><source file='/a'><dataStore type='file'><source file='PATH'/>\
             </dataStore></source></disk>",
            "<disk type='network'><source protocol='nbd' name='file://PATH'/></disk>",
            "<filesystem type='file'><source file='PATH'/></filesystem>",
            "<serial type='file'><source path='PATH'/></serial>",
            "<os><kernel>PATH</kernel></os>",
            "<os><initrd>\n  PATH\n</initrd></os>",
            "<os><loader type='pflash'>PATH</loader></os>",
            "<os><nvram template='PATH'/></os>",
            "<os><nvram type='file'><source file='PATH'/></nvram></os>",
            "<qemu:commandline><qemu:arg value='file=PATH,if=virtio'/></qemu:commandline>",
            "<qemu:commandline><qemu:arg value='{\"filename\":\"\\/pool\\/image.qcow2\"}'/>\
             </qemu:commandline>",
        ] {
            let xml = domain(&reference.replace("PATH", PATH));
            assert!(References::read(&xml).unwrap().mention(PATH), "{xml}");
        }
    }

    #[test]
    fn a_longer_name_and_a_description_are_no_references() {
        let xml = domain("<disk><source file='/pool/image.qcow2.old'/></disk>");
        assert!(!References::read(&xml).unwrap().mention(PATH));
        assert!(!contains_path("/pool/image.qcow2", ""));
    }

    #[test]
    fn volumes_and_unlisted_backing_files_are_found() {
        let read = |devices: &str| References::read(&domain(devices)).unwrap();
        let volume = read(
            "<disk type='volume'><driver type='qcow2'/><source pool='p' volume='v'/></disk>\
             <filesystem type='volume'><source pool='q' volume='w'/></filesystem>",
        );
        assert_eq!(volume.volumes, [("p".into(), "v".into()), ("q".into(), "w".into())]);
        assert_eq!(volume.open_chains, [Layer::Volume { pool: "p".into(), name: "v".into() }]);
        let disk = |format: &str, backing: &str| {
            read(&format!(
                "<disk type='file'><driver type='{format}'/><source file='/a'/>{backing}</disk>"
            ))
            .open_chains
        };
        assert_eq!(disk("qcow2", ""), [Layer::Path("/a".into())]);
        assert_eq!(disk("qcow2", "<backingStore/>"), []);
        assert_eq!(disk("raw", ""), []);
        let listed = "<backingStore type='file'><format type='qcow2'/><source file='/b'/>\
                      </backingStore>";
        assert_eq!(disk("qcow2", listed), [Layer::Path("/b".into())]);
    }

    #[test]
    fn a_document_that_is_not_understood_is_an_error_and_not_an_empty_list() {
        for xml in ["", "<domain>", "<domain><devices></domain>", "<d a='&unknown;'/>"] {
            assert!(References::read(xml).is_err(), "{xml}");
        }
    }

    proptest::proptest! {
        #[test]
        fn a_document_that_names_the_path_refers_to_it_or_is_an_error(
            before in "(</?[a-z]{1,6}>|[ a-z]){0,12}", element in "[a-z]{1,8}",
            attribute in "[a-z]{1,8}", after in "(</?[a-z]{1,6}>|[ a-z]){0,12}",
        ) {
            proptest::prop_assume!(!["metadata", "title", "description"].contains(&&*element));
            proptest::prop_assume!(!before.contains("title"));
            let xml = format!("<r>{before}<{element} {attribute}='{PATH}'/>{after}</r>");
            if let Ok(references) = References::read(&xml) {
                proptest::prop_assert!(references.mention(PATH), "{}", xml);
            }
        }
    }
}
