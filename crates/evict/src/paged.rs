//! A list that grows by pages and never moves: no copy of all that is there while everybody waits,
//! and nothing left over from a smaller one.

use std::ops::{Index, IndexMut};

/// Entries of a page.
const PAGE: usize = 512;

/// See the module.
#[derive(Debug)]
pub struct Paged<T> {
    pages: Vec<Box<[T]>>,
    len: usize,
}

impl<T> Default for Paged<T> {
    fn default() -> Self {
        Self {
            pages: Vec::new(),
            len: 0,
        }
    }
}

impl<T: Default> Paged<T> {
    /// Makes the list so long that it has `index`.
    pub fn reach(&mut self, index: usize) {
        while self.pages.len() * PAGE <= index {
            self.pages.push((0..PAGE).map(|_| T::default()).collect());
        }
        self.len = self.len.max(index + 1);
    }

    /// Adds an entry at the end; its index.
    pub fn add(&mut self) -> usize {
        self.reach(self.len);
        self.len - 1
    }

    /// Takes the last entry away.
    pub fn pop(&mut self) -> Option<T> {
        let index = self.len.checked_sub(1)?;
        let entry = std::mem::take(&mut self[index]);
        self.len = index;
        // One page stays, so that a length that sways about a page's end asks for it once.
        self.pages.truncate(index.div_ceil(PAGE) + 1);
        Some(entry)
    }
}

impl<T> Paged<T> {
    /// Its length.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// An entry.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&T> {
        if index >= self.len {
            return None;
        }
        self.pages.get(index / PAGE)?.get(index % PAGE)
    }

    /// An entry, to be changed.
    pub fn get_mut(&mut self, index: usize) -> Option<&mut T> {
        if index >= self.len {
            return None;
        }
        self.pages.get_mut(index / PAGE)?.get_mut(index % PAGE)
    }

    /// Entries from `start` on, with their indices.
    pub fn iter_from(&self, start: usize) -> impl Iterator<Item = (usize, &T)> {
        (start..self.len).map(|index| (index, &self[index]))
    }
}

impl<T> Index<usize> for Paged<T> {
    type Output = T;

    fn index(&self, index: usize) -> &T {
        &self.pages[index / PAGE][index % PAGE]
    }
}

impl<T> IndexMut<usize> for Paged<T> {
    fn index_mut(&mut self, index: usize) -> &mut T {
        &mut self.pages[index / PAGE][index % PAGE]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_list() {
        let mut list = Paged::<u32>::default();
        assert_eq!(list.get(0).copied(), None);
        assert_eq!((list.add(), list.add()), (0, 1));
        list.reach(5 * PAGE);
        list[5 * PAGE] = 7;
        list[1] = 3;
        assert_eq!(list.get_mut(5 * PAGE).copied(), Some(7));
        assert_eq!(list.get(5 * PAGE + 1), None);
        assert_eq!(
            list.iter_from(1)
                .map(|(_, entry)| u64::from(*entry))
                .sum::<u64>(),
            10
        );
        assert_eq!(list.iter_from(5 * PAGE).next(), Some((5 * PAGE, &7)));
        assert_eq!(list.iter_from(usize::MAX).next(), None);
    }

    #[test]
    fn its_end_goes_and_comes_as_new() {
        let mut list = Paged::<u32>::default();
        for _ in 0..3 * PAGE {
            let index = list.add();
            list[index] = 9;
        }
        while list.len() > PAGE {
            assert_eq!(list.pop(), Some(9));
        }
        assert_eq!(list.pages.len(), 2);
        assert_eq!(list.add(), PAGE);
        assert_eq!(list[PAGE], 0);
        while list.pop().is_some() {}
        assert_eq!((list.len(), list.pages.len()), (0, 1));
    }
}
