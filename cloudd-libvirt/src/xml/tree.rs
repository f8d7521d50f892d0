use quick_xml::escape::resolve_xml_entity;
use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

/// The largest depth of nested elements. libvirt's own parser allows 256.
const MAX_DEPTH: usize = 512;

/// A parsed element, without namespace prefixes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Node {
    name: String,
    attributes: Vec<(String, String)>,
    text: String,
    children: Vec<Node>,
}

/// A syntax error.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error("not well-formed XML")]
    Syntax(#[from] quick_xml::Error),
    #[error("not well-formed XML")]
    Attribute(#[from] quick_xml::events::attributes::AttrError),
    #[error("not UTF-8")]
    Encoding(#[from] quick_xml::encoding::EncodingError),
    #[error("an unknown entity")]
    Entity,
    #[error("no root element, or an unclosed one")]
    Incomplete,
    #[error("elements nested too deep")]
    TooDeep,
}

impl Node {
    pub(crate) fn parse(xml: &str) -> Result<Self, Unreadable> {
        let mut reader = Reader::from_str(xml);
        // The document itself is the outermost node.
        let mut open = vec![Self::default()];
        loop {
            match reader.read_event()? {
                Event::Start(_) if open.len() > MAX_DEPTH => return Err(Unreadable::TooDeep),
                Event::Start(start) => open.push(Self::of(&start)?),
                Event::Empty(start) => {
                    let node = Self::of(&start)?;
                    innermost(&mut open)?.children.push(node);
                }
                Event::End(_) => {
                    let node = open.pop().ok_or(Unreadable::Incomplete)?;
                    innermost(&mut open)?.children.push(node);
                }
                Event::Text(text) => innermost(&mut open)?.text.push_str(&text.decode()?),
                Event::CData(text) => innermost(&mut open)?.text.push_str(&text.decode()?),
                Event::GeneralRef(reference) => {
                    let text = &mut innermost(&mut open)?.text;
                    match reference.resolve_char_ref()? {
                        Some(character) => text.push(character),
                        None => text.push_str(
                            resolve_xml_entity(&reference.decode()?).ok_or(Unreadable::Entity)?,
                        ),
                    }
                }
                Event::Eof => break,
                Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
            }
        }
        let [document] = open.as_mut_slice() else { return Err(Unreadable::Incomplete) };
        document.children.pop().ok_or(Unreadable::Incomplete)
    }

    fn of(start: &BytesStart<'_>) -> Result<Self, Unreadable> {
        let mut node = Self {
            name: String::from_utf8_lossy(start.local_name().as_ref()).into_owned(),
            ..Self::default()
        };
        for attribute in start.attributes() {
            let attribute = attribute?;
            node.attributes.push((
                String::from_utf8_lossy(attribute.key.local_name().as_ref()).into_owned(),
                attribute.normalized_value(XmlVersion::Implicit1_0)?.into_owned(),
            ));
        }
        Ok(node)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The values of all attributes.
    pub(crate) fn values(&self) -> impl Iterator<Item = &str> {
        self.attributes.iter().map(|(_, value)| value.as_str())
    }

    pub(crate) fn children(&self) -> &[Self] {
        &self.children
    }

    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn text(&self) -> &str {
        self.text.trim()
    }

    /// All children of this name.
    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// The first descendant at this path of names, such as `target/path`.
    pub(crate) fn at(&self, path: &str) -> Option<&Self> {
        path.split('/').try_fold(self, |node, name| node.children.iter().find(|c| c.name == name))
    }
}

fn innermost(open: &mut [Node]) -> Result<&mut Node, Unreadable> {
    open.last_mut().ok_or(Unreadable::Incomplete)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libvirts_xml_is_read() {
        let node = Node::parse(
            "<?xml version='1.0'?><!-- c --><volume type='file'><name>a&amp;b&#33;</name>\
             <x:target xmlns:x='u'><path>/p</path></x:target><k v='&lt;1'/><k v='2'/></volume>",
        )
        .unwrap();
        assert_eq!(node.attribute("type"), Some("file"));
        assert_eq!(node.at("name").unwrap().text(), "a&b!");
        assert_eq!(node.at("target/path").unwrap().text(), "/p");
        let values: Vec<_> = node.all("k").filter_map(|k| k.attribute("v")).collect();
        assert_eq!(values, ["<1", "2"]);
        assert!(node.at("target/nothing").is_none());
    }

    #[test]
    fn incomplete_xml_is_an_error() {
        for xml in ["", "<a>", "<a><b></a>", "</a>"] {
            assert!(Node::parse(xml).is_err(), "{xml}");
        }
    }

    #[test]
    fn deep_nesting_is_an_error() {
        let deep = |depth| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
        assert!(Node::parse(&deep(300)).is_ok());
        assert!(Node::parse(&deep(1_000_000)).is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "(<[a-c/!?]|>|[ a-z='\"&;#x0-9]|\\PC){0,60}") {
            let _ = Node::parse(&text);
        }
    }
}
