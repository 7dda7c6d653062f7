//! JSON as a key needs it: with the order of its fields, and with no two values taken for one.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use sha2::{Digest, Sha256};

use super::hash_part;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Integer(i128),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    /// Fields in their order; no name twice.
    Object(Vec<(String, Node)>),
}

/// Integers beyond 64 bits arrive as numbers that other integers arrive as too.
const EXACT: f64 = 9_223_372_036_854_775_808.0;

impl Node {
    /// A field of an object.
    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        let Node::Object(fields) = self else { return None };
        fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    pub(super) fn get_mut(&mut self, name: &str) -> Option<&mut Node> {
        let Node::Object(fields) = self else { return None };
        fields.iter_mut().find(|(field, _)| field == name).map(|(_, value)| value)
    }

    /// The text in a field of an object.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        match self.get(name) {
            Some(Node::Text(text)) => Some(text),
            _ => None,
        }
    }

    pub(super) fn as_text_mut(&mut self) -> Option<&mut String> {
        match self {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The elements of a list; none of anything else.
    pub(super) fn elements(&self) -> &[Node] {
        match self {
            Node::List(elements) => elements,
            _ => &[],
        }
    }

    /// Hashes the value: its kind, then its length or its bytes, so that different values never hash
    /// the same bytes.
    pub(super) fn feed(&self, hash: &mut Sha256) {
        match self {
            Node::Null => hash.update([0]),
            Node::Bool(value) => hash.update([1, u8::from(*value)]),
            Node::Integer(number) => {
                hash.update([2]);
                hash.update(number.to_le_bytes());
            }
            Node::Float(number) => {
                hash.update([3]);
                hash.update(number.to_bits().to_le_bytes());
            }
            Node::Text(value) => {
                hash.update([4]);
                hash_part(hash, value.as_bytes());
            }
            Node::List(elements) => {
                hash.update([5]);
                hash.update((elements.len() as u64).to_le_bytes());
                elements.iter().for_each(|element| element.feed(hash));
            }
            Node::Object(fields) => {
                hash.update([6]);
                hash.update((fields.len() as u64).to_le_bytes());
                for (name, value) in fields {
                    hash_part(hash, name.as_bytes());
                    value.feed(hash);
                }
            }
        }
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Integer(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        if value.abs() < EXACT { Ok(Node::Float(value)) } else { Err(E::custom("a huge number")) }
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Node, E> {
        Ok(Node::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element()? {
            elements.push(element);
        }
        Ok(Node::List(elements))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
        let mut fields: Vec<(String, Node)> = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        let mut names: Vec<&str> = fields.iter().map(|(name, _)| name.as_str()).collect();
        names.sort_unstable();
        // Two parsers may read such an object differently.
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return Err(A::Error::custom("duplicate field"));
        }
        Ok(Node::Object(fields))
    }
}
