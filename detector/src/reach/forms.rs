//! The forms in which a word may be a pointer.

use super::{Search, WORD};

/// What addresses a word may stand for by itself: itself, one that shares the word with
/// a tag of 16 bits, above it or below, or one that is inverted.
pub(super) fn addresses(word: usize) -> impl Iterator<Item = usize> {
    const BITS: u32 = 48;
    let untagged = word & ((1 << BITS) - 1);
    let shifted = word >> (usize::BITS - BITS);
    let others = [untagged, shifted, !word].into_iter();
    std::iter::once(word).chain(others.filter(move |other| *other != word))
}

impl<R: Fn(usize) -> usize> Search<'_, R> {
    /// What a word leads to that is a distance from where it is, `at`. A small number
    /// is as a rule none, unless it leads to where something begins.
    pub(super) fn at_distance(&self, at: usize, word: usize) -> Option<usize> {
        let there = at.wrapping_add(word);
        let block = self.block_at(there)?;
        (self.space.blocks[block].start == there).then_some(there)
    }

    /// What a word leads to that is the link of a node at `node`, the exclusive or of
    /// the addresses of the nodes `before` and after it.
    ///
    /// Most small numbers would lead to somewhere near the node before. So there has
    /// to be such a link as well, at the same place of the node: one that leads on from
    /// this node to another, or to none.
    pub(super) fn linked(
        &self,
        at: usize,
        word: usize,
        before: usize,
        node: usize,
    ) -> Option<usize> {
        const TAG: usize = WORD - 1;
        if before == 0 || node == 0 {
            return None;
        }
        let after = word ^ before;
        let block = self.range(self.block_at(after)?);
        let offset = at.wrapping_sub(node & !TAG);
        let link_at = (after & !TAG).wrapping_add(offset);
        if link_at < block.start || link_at.checked_add(WORD)? > block.end {
            return None;
        }
        let link = (self.space.read)(link_at);
        let next = link ^ node;
        let leads_on = next & !TAG == 0
            || self.block_at(next).is_some()
            || self.space.roots.iter().any(|root| root.contains(&next));
        (link != 0 && leads_on).then_some(after)
    }
}
