// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hot loops of src/mm/gup.ts once more, in C: what the same walk, grab and release cost when a C compiler
 * sees them, with the same layout of memory (32-bit words, addresses are word indices, 64-byte struct pages,
 * four levels of 512 entries) and the same order of operations as v5.10 and the uniform form. Words are
 * accessed as the kernel does: READ_ONCE() is a relaxed load, value-returning atomics are fully ordered. No
 * freed-memory check, no scheduling point: those are what the TypeScript has on top.
 *
 * Usage: gup_loop PAGES PER_CALL REPEATS. Prints one JSON object: nanoseconds per repeat of each loop.
 */
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

typedef int32_t word;

enum {
	P_PRESENT = 1, P_RW = 2, P_USER = 4, P_ACCESSED = 16, P_PSE = 32, P_SPECIAL = 128, P_PROTNONE = 256,
	P_DEVMAP = 64, P_INVALID = 64, PFN_SHIFT = 10, TABLE_SHIFT = 9, PTRS = 512
};
enum { F_FLAGS = 0, F_HEAD = 1, F_REF = 2, F_MAPCOUNT = 3, F_ORDER = 8, F_PINCOUNT = 9, PAGE_WORDS = 16 };
enum { PG_REFERENCED = 1, PG_HEAD = 5 };
enum { BIAS = 1024, FOLL_WRITE = 1 };

static word *mem;
static word vmemmap, page_tables, mm_pgd, mm_seq, mm_has_pinned, next_table;

/* Not constants to the compiler, as the kernel's static keys and config words are not to ours. */
static volatile int irqs_off;

static inline word READ(word p) { return __atomic_load_n(&mem[p], __ATOMIC_RELAXED); }
static inline word fetch_add(word v, word i) { return __atomic_fetch_add(&mem[v], i, __ATOMIC_SEQ_CST); }

static inline word compound_head(word page)
{
	word h = READ(page + F_HEAD);
	return h & 1 ? h - 1 : page;
}

static inline int add_unless_zero(word p, word n)
{
	word old = READ(p);
	while (old != 0)
		if (__atomic_compare_exchange_n(&mem[p], &old, old + n, 0, __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
			return 1;
	return 0;
}

static inline int has_pincount(word head)
{
	return (READ(head + F_FLAGS) & (1 << PG_HEAD)) && READ(head + PAGE_WORDS + F_ORDER) >= 2;
}

static inline word try_grab_compound_head(word page, word refs)
{
	word head = compound_head(page);
	if (READ(head + F_REF) < 0)
		return 0;
	word n = has_pincount(head) ? refs : refs * BIAS;
	head = compound_head(page);
	if (!add_unless_zero(head + F_REF, n))
		return 0;
	if (has_pincount(head))
		fetch_add(head + 2 * PAGE_WORDS + F_PINCOUNT, refs);
	return head;
}

static inline void put_compound_head(word head, word n)
{
	if (has_pincount(head))
		fetch_add(head + 2 * PAGE_WORDS + F_PINCOUNT, -n);
	else
		n *= BIAS;
	if (fetch_add(head + F_REF, -n) == n)
		abort(); /* the page's own reference is never dropped here */
}

static inline void set_referenced(word page) { __atomic_fetch_or(&mem[page + F_FLAGS], 1 << PG_REFERENCED, __ATOMIC_SEQ_CST); }

static inline word table_of(word e) { return page_tables + (word)(((uint32_t)e >> PFN_SHIFT) << TABLE_SHIFT); }
static inline int leaf(word e) { return (e & (P_PRESENT | P_PROTNONE | P_INVALID)) && (e & P_PSE); }
static inline word min_end(word addr, word end, int shift)
{
	word b = ((addr >> shift) + 1) << shift;
	return (uint32_t)(b - 1) < (uint32_t)(end - 1) ? b : end;
}
static inline int permitted(word e) { return (e & (P_PRESENT | P_USER | P_RW)) == (P_PRESENT | P_USER | P_RW); }

static int gup_pte_range(word table, word addr, word end, word *pages, word *nr)
{
	for (; addr != end; addr++) {
		word ptep = table + (addr & (PTRS - 1));
		word pte = READ(ptep);
		if ((pte & (P_PROTNONE | P_PRESENT)) == P_PROTNONE || !permitted(pte) || (pte & P_SPECIAL))
			return 0;
		word page = vmemmap + (word)(((uint32_t)pte >> PFN_SHIFT) << 4);
		word head = try_grab_compound_head(page, 1);
		if (!head)
			return 0;
		if (READ(ptep) != pte) {
			put_compound_head(head, 1);
			return 0;
		}
		set_referenced(page);
		pages[(*nr)++] = page;
	}
	return 1;
}

static int gup_huge(word e, word ep, int shift, word addr, word end, word *pages, word *nr)
{
	if (!permitted(e))
		return 0;
	word first = vmemmap + (word)(((uint32_t)e >> PFN_SHIFT) << 4);
	word refs = end - addr, page = first + ((addr & ((1 << shift) - 1)) << 4);
	for (word i = 0; i < refs; i++)
		pages[*nr + i] = page + (i << 4);
	word head = try_grab_compound_head(first, refs);
	if (!head)
		return 0;
	if (READ(ep) != e) {
		put_compound_head(head, refs);
		return 0;
	}
	*nr += refs;
	set_referenced(head);
	return 1;
}

static int gup_range(word table, int level, word addr, word end, word *pages, word *nr)
{
	while (addr != end) {
		int shift = level * TABLE_SHIFT;
		word ep = table + ((addr >> shift) & (PTRS - 1)), e = READ(ep), next = min_end(addr, end, shift);
		if (!(e & P_PRESENT))
			return 0;
		int ok = leaf(e) ? gup_huge(e, ep, shift, addr, next, pages, nr)
			: level == 1 ? gup_pte_range(table_of(e), addr, next, pages, nr)
			: gup_range(table_of(e), level - 1, addr, next, pages, nr);
		if (!ok)
			return 0;
		addr = next;
	}
	return 1;
}

static word pin_user_pages_fast(word start, word n, word *pages)
{
	word nr = 0;
	if (READ(mm_has_pinned) == 0)
		__atomic_store_n(&mem[mm_has_pinned], 1, __ATOMIC_RELAXED);
	word seq = __atomic_load_n(&mem[mm_seq], __ATOMIC_ACQUIRE);
	if (seq & 1)
		return 0;
	irqs_off = 1;
	gup_range(READ(mm_pgd), 3, start, start + n, pages, &nr);
	irqs_off = 0;
	if (READ(mm_seq) != seq)
		abort();
	return nr;
}

static void unpin_each(word *pages, word n)
{
	for (word i = 0; i < n; i++)
		put_compound_head(compound_head(pages[i]), 1);
}

static void unpin_batch(word *pages, word n)
{
	for (word i = 0; i < n;) {
		word head = compound_head(pages[i]), refs = 1;
		while (i + refs < n && compound_head(pages[i + refs]) == head)
			refs++;
		put_compound_head(head, refs);
		i += refs;
	}
}

static void unpin_range(word page, word n)
{
	for (word i = 0; i < n;) {
		word p = page + (i << 4), head = compound_head(p), refs = 1;
		if (READ(head + F_FLAGS) & (1 << PG_HEAD)) {
			refs = (1 << READ(head + PAGE_WORDS + F_ORDER)) - ((p - head) >> 4);
			if (refs > n - i)
				refs = n - i;
		}
		put_compound_head(head, refs);
		i += refs;
	}
}

static word alloc_table(void)
{
	word t = page_tables + (next_table++ << TABLE_SHIFT);
	return t;
}

static void map(word addr, word pfn, int level)
{
	word table = mem[mm_pgd];
	for (int l = 3; l > level; l--) {
		word ep = table + ((addr >> (l * TABLE_SHIFT)) & (PTRS - 1));
		if (!mem[ep])
			mem[ep] = (((alloc_table() - page_tables) >> TABLE_SHIFT) << PFN_SHIFT) | P_PRESENT | P_RW | P_USER | P_ACCESSED;
		table = table_of(mem[ep]);
	}
	mem[table + ((addr >> (level * TABLE_SHIFT)) & (PTRS - 1))] =
		(word)((uint32_t)pfn << PFN_SHIFT) | P_PRESENT | P_RW | P_USER | P_ACCESSED | (level ? P_PSE : 0);
}

static void build(word nr, int level)
{
	word span = 1 << (level * TABLE_SHIFT);
	memset(mem, 0, ((size_t)nr * PAGE_WORDS + 16 + ((size_t)nr / PTRS + 16 + nr / (PTRS * PTRS)) * PTRS + PTRS) * 4);
	mm_seq = 1;
	mm_has_pinned = 2;
	mm_pgd = 3;
	page_tables = PTRS;
	next_table = 0;
	vmemmap = page_tables + (nr / PTRS + 8 + nr / (PTRS * PTRS)) * PTRS;
	mem[mm_pgd] = alloc_table();
	for (word i = 0; i < nr; i++) {
		word page = vmemmap + (i << 4);
		mem[page + F_REF] = (i & (span - 1)) == 0;
		mem[page + F_MAPCOUNT] = -1;
		if (i & (span - 1))
			mem[page + F_HEAD] = vmemmap + ((i & ~(span - 1)) << 4) + 1;
	}
	for (word i = 0; i < nr; i += span) {
		if (level) {
			mem[vmemmap + (i << 4) + F_FLAGS] |= 1 << PG_HEAD;
			mem[vmemmap + ((i + 1) << 4) + F_ORDER] = level * TABLE_SHIFT;
		}
		map((1 << 18) + i, i, level);
	}
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e9 + t.tv_nsec;
}

static void measure(const char *name, word nr, word per, int repeats, int level, word *pages, int last)
{
	build(nr, level);
	printf("\"%s\":{", name);
	double *t = calloc((size_t)repeats * 4, sizeof *t);
	for (int r = -2; r < repeats; r++) {
		double a[6];
		for (int how = 0; how < 3; how++) {
			a[0] = now();
			word got = 0;
			for (word i = 0; i < nr; i += per)
				got += pin_user_pages_fast((1 << 18) + i, i + per > nr ? nr - i : per, pages + i);
			a[1] = now();
			if (got != nr) {
				fprintf(stderr, "gup_loop: %s pinned %d of %d pages\n", name, got, nr);
				exit(1);
			}
			if (how == 0)
				unpin_each(pages, nr);
			else if (how == 1)
				unpin_batch(pages, nr);
			else
				unpin_range(pages[0], nr);
			a[2] = now();
			if (r < 0)
				continue;
			if (how == 0)
				t[r] = a[1] - a[0];
			t[(how + 1) * repeats + r] = a[2] - a[1];
		}
	}
	static const char *const names[] = { "pin", "unpinEach", "unpinBatch", "unpinRange" };
	for (int k = 0; k < 4; k++) {
		printf("%s\"%s\":[", k ? "," : "", names[k]);
		for (int r = 0; r < repeats; r++)
			printf("%s%.0f", r ? "," : "", t[k * repeats + r]);
		printf("]");
	}
	printf("}%s", last ? "" : ",");
	free(t);
}

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: gup_loop PAGES PER_CALL REPEATS\n");
		return 2;
	}
	long nr = atol(argv[1]), per = atol(argv[2]), repeats = atol(argv[3]);
	if (nr < PTRS || nr % PTRS || nr > 1 << 22 || per < 1 || per > nr || repeats < 1 || repeats > 10000) {
		fprintf(stderr, "gup_loop: bad arguments\n");
		return 2;
	}
	size_t words = (size_t)nr * PAGE_WORDS + ((size_t)nr / PTRS + 16 + nr / (PTRS * PTRS)) * PTRS + PTRS + 1024;
	mem = aligned_alloc(64, (words * 4 + 63) / 64 * 64);
	word *pages = malloc((size_t)nr * sizeof *pages);
	if (!mem || !pages) {
		fprintf(stderr, "gup_loop: out of memory\n");
		return 1;
	}
	memset(pages, 0, (size_t)nr * sizeof *pages);
	printf("{");
	int gigantic = nr % (PTRS * PTRS) == 0;
	measure("4k", nr, per, repeats, 0, pages, 0);
	measure("2m", nr, per, repeats, 1, pages, !gigantic);
	if (gigantic)
		measure("1g", nr, per, repeats, 2, pages, 1);
	printf("}\n");
	return 0;
}
