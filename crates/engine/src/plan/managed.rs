//! Objects that somebody else manages, so that only they can change or delete them: what a plan would do to one it leaves,
//! with a word about it, and what such an object uses stays with it.

use std::collections::BTreeSet;

use super::Note;
use super::build::{Builder, Fate};
use super::edges::Users;

impl Builder<'_> {
    /// Leaves them out of what has been decided.
    pub(super) fn leave_managed(&mut self) {
        let managed: Vec<(usize, &'static str)> = (0..self.cases.len())
            .filter_map(|index| Some((index, self.cases[index].kind.managed_by(self.cases[index].object?)?)))
            .collect();
        if managed.is_empty() {
            return;
        }
        let mut left = BTreeSet::new();
        for (index, manager) in managed {
            let case = &mut self.cases[index];
            let identity = &case.identity;
            let note = |text: String| Note { address: case.address.clone(), text };
            match &case.fate {
                Fate::Delete { .. } => {
                    let text = format!("`{identity}` is managed by {manager}, through which alone it can be deleted");
                    self.plan.kept.push(note(text));
                    case.fate = Fate::Aside;
                }
                Fate::Replace { diff, .. } | Fate::Change { diff, .. } if !diff.is_empty() => {
                    let fields: Vec<String> = diff.changes.iter().map(|change| format!("`{}`", change.path)).collect();
                    self.plan.refused.push(note(format!(
                        "`{identity}` is managed by {manager}, through which alone {} can be changed; declare it as it \
                         is, or let it differ (`ignore:`)",
                        fields.join(", ")
                    )));
                }
                Fate::Replace { .. } => {
                    let text = format!("`{identity}` is managed by {manager}, and cannot be made again");
                    self.plan.refused.push(note(text));
                }
                _ => {}
            }
            left.insert(index);
        }
        self.leave_used(left);
    }

    /// Leaves what those that are left use: no service deletes what is in use.
    pub(super) fn leave_used(&mut self, mut left: BTreeSet<usize>) {
        let users = Users::of(self);
        let goes = |fate: &Fate| matches!(fate, Fate::Delete { .. } | Fate::Release { .. });
        let next = |builder: &Self, left: &BTreeSet<usize>| {
            let mut going = (0..builder.cases.len()).filter(|index| goes(&builder.cases[*index].fate));
            going.find_map(|index| Some((index, users.of_case(index).find(|user| left.contains(user))?)))
        };
        while let Some((index, user)) = next(self, &left) {
            let user = self.cases[user].identity.clone();
            let case = &mut self.cases[index];
            // Why a shared object stays has been said.
            if matches!(case.fate, Fate::Delete { .. }) {
                let text = format!("`{}` is used by `{user}`, which stays", case.identity);
                self.plan.kept.push(Note { address: case.address.clone(), text });
            }
            case.fate = Fate::Aside;
            left.insert(index);
        }
    }
}
