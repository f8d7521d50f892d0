use std::fmt;

use quick_xml::Writer;
use quick_xml::events::{BytesEnd, BytesStart, BytesText, Event};

/// An element to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Element {
    name: &'static str,
    attributes: Vec<(&'static str, String)>,
    text: String,
    children: Vec<Element>,
}

impl Element {
    pub(crate) fn new(name: &'static str) -> Self {
        Self { name, attributes: Vec::new(), text: String::new(), children: Vec::new() }
    }

    /// `<name>text</name>`.
    pub(crate) fn text(name: &'static str, text: impl fmt::Display) -> Self {
        Self { text: text.to_string(), ..Self::new(name) }
    }

    pub(crate) fn with(mut self, attribute: &'static str, value: impl fmt::Display) -> Self {
        self.attributes.push((attribute, value.to_string()));
        self
    }

    pub(crate) fn child(self, child: Self) -> Self {
        self.children([child])
    }

    pub(crate) fn children(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.children.extend(children);
        self
    }

    fn write(&self, writer: &mut Writer<Vec<u8>>) -> std::io::Result<()> {
        let mut start = BytesStart::new(self.name);
        for (name, value) in &self.attributes {
            start.push_attribute((*name, xml_safe(value).as_str()));
        }
        if self.text.is_empty() && self.children.is_empty() {
            return writer.write_event(Event::Empty(start));
        }
        writer.write_event(Event::Start(start))?;
        if !self.text.is_empty() {
            writer.write_event(Event::Text(BytesText::new(&xml_safe(&self.text))))?;
        }
        for child in &self.children {
            child.write(writer)?;
        }
        writer.write_event(Event::End(BytesEnd::new(self.name)))
    }
}

/// Removes the control characters that XML cannot represent. libvirt would refuse the document, and
/// a NUL would end it.
fn xml_safe(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() || matches!(c, '\t' | '\n')).collect()
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut writer = Writer::new_with_indent(Vec::new(), b' ', 2);
        self.write(&mut writer).map_err(|_| fmt::Error)?;
        f.write_str(&String::from_utf8(writer.into_inner()).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped() {
        let element = Element::new("a")
            .with("b", "'\"><x/>&\0")
            .child(Element::text("c", "</c><evil/>&amp;\u{7}"));
        let xml = element.to_string();
        let read = super::super::Node::parse(&xml).unwrap();
        assert_eq!(read.attribute("b"), Some("'\"><x/>&"));
        assert_eq!(read.at("c").unwrap().text(), "</c><evil/>&amp;");
    }
}
