//! Storage volume documents.

use cloudd_core::provider::Size;

use super::{Element, Node};

/// The format of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    Raw,
    Qcow2,
}

impl Format {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }
}

/// A volume to be created, sparse and readable only by libvirt and QEMU.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NewVolume<'a> {
    pub(crate) name: &'a str,
    pub(crate) format: Format,
    pub(crate) capacity: Size,
    /// Path and format of the backing file.
    pub(crate) backing: Option<(&'a str, Format)>,
}

impl<'a> NewVolume<'a> {
    /// A volume without a backing file.
    pub(crate) fn new(name: &'a str, format: Format, capacity: Size) -> Self {
        Self { name, format, capacity, backing: None }
    }

    pub(crate) fn xml(&self) -> String {
        let mut target = Element::new("target")
            .child(Element::new("format").with("type", self.format.as_str()))
            .child(Element::new("permissions").child(Element::text("mode", "0600")));
        if self.format == Format::Qcow2 {
            // libvirt's default, 0.10, has no zero clusters; zeroing a disk would allocate all of it.
            target = target.child(Element::text("compat", "1.1"));
        }
        let volume = Element::new("volume")
            .child(Element::text("name", self.name))
            .child(Element::text("capacity", self.capacity.as_bytes()).with("unit", "bytes"))
            .child(Element::text("allocation", 0).with("unit", "bytes"))
            .child(target);
        match self.backing {
            Some((path, format)) => volume.child(
                Element::new("backingStore")
                    .child(Element::text("path", path))
                    .child(Element::new("format").with("type", format.as_str())),
            ),
            None => volume,
        }
        .to_string()
    }
}

/// A volume, as described by libvirt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct VolumeDescription {
    pub(crate) path: String,
    pub(crate) capacity: Size,
    /// libvirt's name of the format, which may be one that is not in [`Format`].
    pub(crate) format: String,
    /// The path of the backing file.
    pub(crate) backing: Option<String>,
    /// The time of the last write, as `seconds.nanoseconds` since 1970, if the driver reports it.
    pub(crate) modified: Option<String>,
}

impl VolumeDescription {
    pub(crate) fn read(xml: &str) -> Option<Self> {
        let node = Node::parse(xml).ok()?;
        Some(Self {
            path: node.at("target/path")?.text().to_owned(),
            // Volumes of some kinds of pools have none.
            capacity: match node.at("capacity") {
                Some(capacity) => Size::bytes(capacity.text().parse().ok()?),
                None => Size::bytes(0),
            },
            format: node
                .at("target/format")
                .and_then(|format| format.attribute("type"))
                .unwrap_or("raw")
                .to_owned(),
            backing: node.at("backingStore/path").map(|path| path.text().to_owned()),
            modified: node.at("target/timestamps/mtime").map(|time| time.text().to_owned()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_overlay_names_what_is_under_it() {
        let xml = NewVolume {
            name: "root",
            format: Format::Qcow2,
            capacity: Size::gib(10),
            backing: Some(("/p/base&co", Format::Raw)),
        }
        .xml();
        assert_eq!(
            xml,
            "<volume>\n  <name>root</name>\n  <capacity unit=\"bytes\">10737418240</capacity>\n  \
             <allocation unit=\"bytes\">0</allocation>\n  <target>\n    <format type=\"qcow2\"/>\n    \
             <permissions>\n      <mode>0600</mode>\n    </permissions>\n    \
             <compat>1.1</compat>\n  </target>\n  <backingStore>\n    <path>/p/base&amp;co</path>\n    \
             <format type=\"raw\"/>\n  </backingStore>\n</volume>"
        );
    }

    #[test]
    fn libvirts_description_is_read() {
        let xml = "<volume type='file'><name>a</name><key>/p/a</key>\
                   <capacity unit='bytes'>67108864</capacity>\
                   <allocation unit='bytes'>1376256</allocation><target><path>/p/a</path>\
                   <format type='qcow2'/><timestamps><mtime>1795383175.493</mtime></timestamps>\
                   </target><backingStore><path>/p/b</path></backingStore></volume>";
        assert_eq!(
            VolumeDescription::read(xml),
            Some(VolumeDescription {
                path: "/p/a".into(),
                capacity: Size::mib(64),
                format: "qcow2".into(),
                backing: Some("/p/b".into()),
                modified: Some("1795383175.493".into()),
            })
        );
    }
}
