//! Takes over a state file of the version before, which had no digests, numbered from 1 again when
//! its log had become empty, and let in decisions that cannot be.

use rusqlite::{Connection, Transaction, params};

use super::store::{INSERT, SAVE, StoreError, TABLES, digest_of};
use crate::serve::layout::{encode_lines, is_possible, read_lines};
use crate::serve::rules::Rules;

/// The layout of that version.
pub const LAYOUT: i64 = 2;

/// Rewrites the file in the present layout, all or nothing; returns how many lines were left out
/// because no filter can have written them.
///
/// # Errors
///
/// When it is damaged, or cannot be written.
pub fn take_over(
    connection: &mut Connection,
    layout: i64,
    rules: &Rules,
) -> Result<usize, StoreError> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(&format!(
        "ALTER TABLE log RENAME TO log_before; ALTER TABLE checkpoint RENAME TO checkpoint_before;
         {TABLES}"
    ))?;
    let left_out = rewrite(&transaction, rules)?;
    transaction.execute_batch(&format!(
        "DROP TABLE log_before; DROP TABLE checkpoint_before; PRAGMA user_version = {layout};"
    ))?;
    transaction.commit()?;
    Ok(left_out)
}

fn rewrite(transaction: &Transaction, rules: &Rules) -> Result<usize, StoreError> {
    let mut saved = transaction.prepare("SELECT sequence, state FROM checkpoint_before")?;
    let mut saved = saved.query([])?;
    let checkpoint: Option<(i64, Vec<u8>)> = match saved.next()? {
        Some(row) => Some((row.get(0)?, row.get(1)?)),
        None => None,
    };
    let last: Option<i64> =
        transaction.query_row("SELECT max(sequence) FROM log_before", [], |row| row.get(0))?;
    // Numbers that end before the checkpoint began again after it.
    let learnt = checkpoint.as_ref().map_or(0, |(sequence, _)| *sequence);
    let learnt = if last.unwrap_or_default() < learnt { 0 } else { learnt };
    let mut select =
        transaction.prepare("SELECT sequence, at_ms, lines FROM log_before ORDER BY sequence")?;
    let mut insert = transaction.prepare(INSERT)?;
    let mut rows = select.query([])?;
    let (mut number, mut taken_in, mut left_out) = (0, 0, 0);
    while let Some(row) = rows.next()? {
        let (sequence, at_ms): (i64, i64) = (row.get(0)?, row.get(1)?);
        let lines = row.get_ref(2)?.as_blob().ok().and_then(read_lines);
        let mut lines = lines.ok_or(StoreError::Batch(sequence))?;
        let before = lines.len();
        lines.retain(|line| is_possible(line, rules));
        left_out += before - lines.len();
        number += 1;
        taken_in += i64::from(sequence <= learnt);
        let lines = encode_lines(&lines);
        let digest = digest_of(number, Some(at_ms), &lines);
        insert.execute(params![number, at_ms, lines, digest])?;
    }
    let state = checkpoint.map(|(_, state)| state).unwrap_or_default();
    let digest = digest_of(taken_in, None, &state);
    transaction.execute(SAVE, params![taken_in, state, digest])?;
    Ok(left_out)
}
