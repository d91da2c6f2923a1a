//! Python's list and dict as far as dbt projects use them: minijinja's own are immutable.
//!
//! Both are shared objects, so that `{% do list.append(x) %}` inside a loop or a macro is seen by
//! whoever holds the list. Methods that do not exist end in an error that names them.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use minijinja::value::{Enumerator, Object, ObjectRepr};
use minijinja::{Error, ErrorKind, State, Value};

fn invalid(message: impl Into<String>) -> Error {
    Error::new(ErrorKind::InvalidOperation, message.into())
}

/// A mutable list.
pub(super) struct List(Mutex<Vec<Value>>);

impl List {
    /// A list of these values.
    pub(super) fn value(values: Vec<Value>) -> Value {
        Value::from_object(Self(Mutex::new(values)))
    }

    fn items(&self) -> MutexGuard<'_, Vec<Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// A list may hold itself: `Debug` must not walk it.
impl fmt::Debug for List {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("List")
    }
}

fn position(index: i64, length: usize) -> Option<usize> {
    let length = i64::try_from(length).ok()?;
    let index = if index < 0 { index + length } else { index };
    usize::try_from(index).ok().filter(|&index| (index as u64) < length as u64)
}

impl Object for List {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Seq
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let items = self.items();
        items.get(position(key.as_i64()?, items.len())?).cloned()
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.items().clone())
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        // Arguments are read before the lock is taken: `list.extend(list)` must not wait for itself.
        let extension = match (method, args) {
            ("extend", [other]) => other.try_iter()?.collect(),
            _ => Vec::new(),
        };
        let mut items = self.items();
        match (method, args) {
            ("append", [value]) => items.push(value.clone()),
            ("extend", [_]) => items.extend(extension),
            ("insert", [index, value]) => {
                let length = items.len();
                let index = index.as_i64().ok_or_else(|| invalid("list.insert needs a whole number"))?;
                items.insert(position(index, length).unwrap_or(if index < 0 { 0 } else { length }), value.clone());
            }
            ("remove", [value]) => {
                let found = items.iter().position(|item| item == value);
                items.remove(found.ok_or_else(|| invalid("list.remove: the value is not in the list"))?);
            }
            ("pop", [] | [_]) => {
                let index = args.first().and_then(Value::as_i64).unwrap_or(-1);
                let found = position(index, items.len()).ok_or_else(|| invalid("list.pop: no such element"))?;
                return Ok(items.remove(found));
            }
            ("clear", []) => items.clear(),
            ("reverse", []) => items.reverse(),
            ("sort", []) => items.sort(),
            ("copy", []) => return Ok(Self::value(items.clone())),
            ("count", [value]) => return Ok(Value::from(items.iter().filter(|item| *item == value).count())),
            ("index", [value]) => {
                let found = items.iter().position(|item| item == value);
                return Ok(Value::from(found.ok_or_else(|| invalid("list.index: the value is not in the list"))?));
            }
            _ => return Err(Error::new(ErrorKind::UnknownMethod, format!("a list has no method `{method}`"))),
        }
        Ok(Value::from(()))
    }
}

/// A mutable dict that keeps the order of insertion.
pub(super) struct Dict(Mutex<Vec<(Value, Value)>>);

impl Dict {
    /// A dict of these pairs.
    pub(super) fn value(pairs: Vec<(Value, Value)>) -> Value {
        Value::from_object(Self(Mutex::new(pairs)))
    }

    fn pairs(&self) -> MutexGuard<'_, Vec<(Value, Value)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Dict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Dict")
    }
}

fn set(pairs: &mut Vec<(Value, Value)>, key: Value, value: Value) {
    match pairs.iter_mut().find(|pair| pair.0 == key) {
        Some(pair) => pair.1 = value,
        None => pairs.push((key, value)),
    }
}

/// The pairs of anything that maps.
pub(super) fn pairs_of(value: &Value) -> Result<Vec<(Value, Value)>, Error> {
    value.try_iter()?.map(|key| Ok((key.clone(), value.get_item(&key)?))).collect()
}

impl Object for Dict {
    fn repr(self: &Arc<Self>) -> ObjectRepr {
        ObjectRepr::Map
    }

    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        self.pairs().iter().find(|pair| &pair.0 == key).map(|pair| pair.1.clone())
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.pairs().iter().map(|pair| pair.0.clone()).collect())
    }

    fn call_method(self: &Arc<Self>, _: &mut State<'_, '_>, method: &str, args: &[Value]) -> Result<Value, Error> {
        let update = match (method, args) {
            ("update", [other]) => pairs_of(other)?,
            _ => Vec::new(),
        };
        let mut pairs = self.pairs();
        let found = args.first().and_then(|key| pairs.iter().position(|pair| &pair.0 == key));
        let value = match (method, args) {
            ("update", [_]) => {
                for (key, value) in update {
                    set(&mut pairs, key, value);
                }
                Value::from(())
            }
            ("get", [_] | [_, _]) => match found {
                Some(at) => pairs[at].1.clone(),
                None => args.get(1).cloned().unwrap_or_else(|| Value::from(())),
            },
            ("pop", [key] | [key, _]) => match (found, args.get(1)) {
                (Some(at), _) => pairs.remove(at).1,
                (None, Some(default)) => default.clone(),
                (None, None) => return Err(invalid(format!("dict.pop: there is no key `{key}`"))),
            },
            ("setdefault", [key, default]) => {
                if let Some(at) = found {
                    pairs[at].1.clone()
                } else {
                    pairs.push((key.clone(), default.clone()));
                    default.clone()
                }
            }
            ("items", []) => {
                List::value(pairs.iter().map(|(key, value)| Value::from(vec![key.clone(), value.clone()])).collect())
            }
            ("keys", []) => List::value(pairs.iter().map(|pair| pair.0.clone()).collect()),
            ("values", []) => List::value(pairs.iter().map(|pair| pair.1.clone()).collect()),
            ("copy", []) => Self::value(pairs.clone()),
            ("clear", []) => {
                pairs.clear();
                Value::from(())
            }
            _ => return Err(Error::new(ErrorKind::UnknownMethod, format!("a dict has no method `{method}`"))),
        };
        Ok(value)
    }
}
