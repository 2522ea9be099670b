/** Why a mutant that no cell catches is not caught: what the cells lack, or that it is no bug in them. */

export const SURVIVORS: Readonly<Record<string, string>> = {
  "gup: the pagemap is put before the pages are grabbed":
    "that the reference is not needed is what C4 and C5 find; the cells that need it are violated with it, too",
  "gup: the offset within a leaf is lost: subpages are recorded from the head on":
    "every walk of the cells begins at a leaf's first page",
  "gup: a read-only pin takes an anonymous page that is shared": "no cell pins read-only",
  "gup: the reference on a head that is no head any more is kept":
    "the end check of C1 looks for pins that are left, not for references",
  "pgmap: the pagemap is looked up outside an RCU section":
    "what the section keeps alive is the xarray, which is an array here",
  "pgmap: a frame just behind the pagemap counts as the pagemap's":
    "no walk of the cells goes on from one pagemap to the next",
  "migrate_entry: the page is mapped again whatever stands in the entry by now":
    "C8 private-zap has no end check that would see it",
  "swap: an idle device page is left with a count of zero": "no cell drops a device page's last reference",
  "dax: the first page is not waited for (off by one)":
    "no standard cell of the two architectures waits for idle pages",
  "mmu_notifier: a notifier put in during an invalidation of something else does not freeze the tree":
    "no cell puts a notifier in during an invalidation that hits none",
  "mmu_notifier: notifiers that refused are ended with those that had started":
    "the cells have one notifier of the old kind",
  "hmm: a write is granted on an entry that is read-only":
    "a driver that did not get the right does not write, and no cell asks whether it gets it",
  "hmm: frames of a leaf are told from its first one on, wherever the range begins":
    "every range of the cells begins at a leaf's first page",
  "hmm_fault: a new page is mapped over what another fault has mapped meanwhile":
    "no cell has two faults at one hole",
  "hmm_fault: the copy is mapped although the entry has changed meanwhile":
    "no cell changes an entry while it is copied on write",
  "hmm_fault: the reference that kept the source alive is not put":
    "the end checks of C7 count no references",
  "migrate_entry: notifiers are told of a migration after the entry has changed":
    "the old page is there until the notifier's end, so that the device may use it: no bug in this order",
};
