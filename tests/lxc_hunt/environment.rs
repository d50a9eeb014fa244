//! Factors of the environment: drawn for each shard, sent to its container, recorded with their probability.

use crate::support::World;

#[test]
fn a_listed_factor_reaches_every_container_as_it_was_recorded() {
    let world = World::with_files(&[(
        "test_zone.py",
        "import os\n\ndef test_zone():\n    assert os.environ['TZ'] == 'UTC'\n",
    )]);
    world.configure("[factors]\nTZ = [\"UTC\", \"Asia/Tokyo\"]\n");
    world.expect(0, &["hunt", "--iterations", "8", "--seed", "3"]);
    let shards = world.rows(
        "SELECT factor.level, factor.drawn_with, trial.outcome FROM shard_factor AS factor \
         JOIN shard ON shard.id = factor.shard_id JOIN iteration ON iteration.id = shard.iteration_id \
         JOIN segment ON segment.shard_id = shard.id JOIN trial ON trial.segment_id = segment.id \
         WHERE factor.factor = 'TZ' AND iteration.design <> 7 ORDER BY shard.id",
    );
    assert!(shards.len() >= 8, "{shards:?}");
    let (utc, tokyo) = ("UTC|0.5|0", "Asia/Tokyo|0.5|1");
    assert!(
        shards.iter().all(|row| row == utc || row == tokyo),
        "{shards:?}"
    );
    for level in [utc, tokyo] {
        assert!(shards.iter().any(|row| row == level), "{shards:?}");
    }
    world.check();
}
