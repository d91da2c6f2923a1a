//! Another speed: what is under way in the world goes on at it.
//!
//! Stamps lie in records of every service. They are found by their form, milliseconds since 1970, in
//! the world as it is saved, so that no service has to know of speeds.

use serde_json::Value;

use super::World;
use crate::clock::{Clock, Timestamp};

/// No transition of AWS takes longer, in milliseconds. What lies further ahead is a deadline, such as
/// the end of a secret's recovery window, and passes at no speed but its own.
const LONGEST: f64 = 24.0 * 3600.0 * 1000.0;

/// The world with what is still to come moved from its own speed to that of `clock`; nothing when it
/// has that speed already.
pub(crate) fn moved(world: &World, clock: Clock) -> Option<World> {
    let speed = Some(clock.speed()).filter(|speed| speed.is_finite());
    if world.speed == speed {
        return None;
    }
    let before = world.speed.unwrap_or(f64::INFINITY);
    let factor = if before.is_finite() { before / clock.speed() } else { 1.0 };
    let mut saved = serde_json::to_value(world).ok()?;
    shift(&mut saved, clock.now(), before, factor);
    let mut world: World = serde_json::from_value(saved).ok()?;
    world.speed = speed;
    Some(world)
}

fn shift(value: &mut Value, now: Timestamp, before: f64, factor: f64) {
    match value {
        Value::Object(members) => members.values_mut().for_each(|member| shift(member, now, before, factor)),
        Value::Array(items) => items.iter_mut().for_each(|item| shift(item, now, before, factor)),
        Value::Number(number) => {
            let Some(ahead) = number.as_i64().map(|at| at - now.0).filter(|ahead| *ahead > 0) else { return };
            if ahead as f64 * before <= LONGEST {
                *value = Value::from(now.0 + (ahead as f64 * factor).ceil() as i64);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arn::Place;
    use crate::clock::Clock;
    use crate::world::dms::Lifecycle;
    use crate::world::redshift_serverless::Snapshot;

    fn ends(world: &World) -> i64 {
        let lifecycle = &world.redshift_serverless.snapshots["one"].lifecycle;
        lifecycle.settles_at().unwrap().0
    }

    #[test]
    fn what_is_under_way_goes_on_at_the_new_speed_and_deadlines_stay() {
        let place = Place { account: "111122223333".to_owned(), region: "eu-north-1".to_owned() };
        let (slow, fast) = (Clock::new(60.0), Clock::new(6000.0));
        let mut world = moved(&World::new(&place), slow).unwrap();
        let now = slow.now();
        let lifecycle = Lifecycle::steady("CREATING").then(Timestamp(now.0 + 10_000), "AVAILABLE");
        let snapshot = Snapshot { lifecycle, body: serde_json::Map::new(), copying: false, has_rows: false };
        world.redshift_serverless.snapshots.insert("one".to_owned(), snapshot.clone());
        assert!(moved(&world, slow).is_none());
        let faster = moved(&world, fast).unwrap();
        assert!(ends(&faster) <= now.0 + 1100, "{}", ends(&faster) - now.0);
        let week = Lifecycle::steady("DELETED").then(Timestamp(now.0 + 7 * 86_400_000), "");
        world.redshift_serverless.snapshots.insert("one".to_owned(), Snapshot { lifecycle: week, ..snapshot });
        assert_eq!(ends(&moved(&world, fast).unwrap()), now.0 + 7 * 86_400_000);
        assert_eq!(ends(&moved(&world, Clock::new(f64::INFINITY)).unwrap()), now.0 + 7 * 86_400_000);
    }
}
