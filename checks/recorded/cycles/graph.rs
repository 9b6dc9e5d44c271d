//! Who came before whom, and whether that is a circle.
//!
//! Real time would be a link between nearly any two transactions. So moments are nodes, too, one
//! behind the other: a transaction that has ended leads to the moment of its end, and the last
//! moment before its beginning leads to it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use model::kv::command::Key;
use petgraph::algo::tarjan_scc;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

use super::versions::Order;
use super::{Anomaly, Element, Judged, Kind, Link, Micro, Transaction};

type Graph = DiGraph<Option<usize>, Link>;

/// Looks for circles: first for those that need the least.
pub(super) fn judge(
    transactions: &[Transaction<'_>],
    order: &Order,
) -> Result<Judged, Box<Anomaly>> {
    let links = links(transactions, order);
    let mut graph = Graph::new();
    let nodes: Vec<_> = (0..transactions.len()).map(|at| graph.add_node(Some(at))).collect();
    let mut happened: Vec<bool> = transactions.iter().map(|t| t.committed == Some(true)).collect();
    for (from, to, link) in &links {
        graph.add_edge(nodes[*from], nodes[*to], *link);
        (happened[*from], happened[*to]) = (true, true);
    }
    add_time(&mut graph, &nodes, transactions);
    for (kind, allowed) in KINDS {
        if let Some(circle) = circle(&graph, kind, allowed) {
            let named = |(node, link): (NodeIndex, Link)| {
                graph[node].map(|at| (transactions[at].operation.clone(), link))
            };
            let links = circle.into_iter().filter_map(named).collect();
            return Err(Anomaly::Cycle(kind, links).into());
        }
    }
    let transactions = happened.into_iter().filter(|happened| *happened).count();
    Ok(Judged { transactions, links: links.len() })
}

/// Which links a circle of each kind may have, beside what makes it one of its kind.
const KINDS: [(Kind, &[Link]); 5] = [
    (Kind::WriteCycle, &[Link::Write]),
    (Kind::CircularInformation, &[Link::Write, Link::Read]),
    (Kind::Single, &[Link::Write, Link::Read]),
    (Kind::Item, &[Link::Write, Link::Read, Link::AntiDependency]),
    (Kind::RealTime, &[Link::Write, Link::Read, Link::AntiDependency, Link::RealTime]),
];

/// What transactions depend on, as the lists show it.
fn links(transactions: &[Transaction<'_>], order: &Order) -> Vec<(usize, usize, Link)> {
    let author = |element: &Element| order.authors[element].0;
    let unread = unread(transactions, order);
    let mut links = Vec::new();
    for list in order.lists.values() {
        for pair in list.windows(2) {
            links.push((author(&pair[0]), author(&pair[1]), Link::Write));
        }
    }
    for (reader, transaction) in transactions.iter().enumerate() {
        for step in &transaction.steps {
            let Micro::Read(key, read) = step else { continue };
            if let Some(last) = read.last() {
                links.push((author(last), reader, Link::Read));
            }
            let behind = order.lists.get(key).and_then(|list| list.get(read.len()));
            match behind {
                Some(next) => links.push((reader, author(next), Link::AntiDependency)),
                None => {
                    let later = unread.get(key).into_iter().flatten();
                    links.extend(later.map(|later| (reader, *later, Link::AntiDependency)));
                }
            }
        }
    }
    links.retain(|(from, to, _)| from != to);
    links.sort_unstable();
    links.dedup();
    links
}

/// By list, who has appended what nobody has read: whoever has read the list to its known end came
/// before him.
fn unread<'a>(transactions: &'a [Transaction<'_>], order: &Order) -> BTreeMap<&'a Key, Vec<usize>> {
    let read: BTreeSet<_> = order.lists.values().flatten().collect();
    let mut unread: BTreeMap<&Key, Vec<usize>> = BTreeMap::new();
    for (at, transaction) in transactions.iter().enumerate() {
        for step in &transaction.steps {
            if let Micro::Append(element) = step
                && transaction.committed == Some(true)
                && !read.contains(element)
            {
                unread.entry(&element.key).or_default().push(at);
            }
        }
    }
    unread
}

/// Adds the moments of time.
fn add_time(graph: &mut Graph, nodes: &[NodeIndex], transactions: &[Transaction<'_>]) {
    let mut ends: BTreeMap<u64, Vec<NodeIndex>> = BTreeMap::new();
    for (node, transaction) in nodes.iter().zip(transactions) {
        if let (Some(true), Some(ret)) = (transaction.committed, transaction.operation.ret) {
            ends.entry(ret).or_default().push(*node);
        }
    }
    let mut moments: BTreeMap<u64, NodeIndex> = BTreeMap::new();
    let mut before: Option<NodeIndex> = None;
    for (time, ended) in ends {
        let moment = graph.add_node(None);
        if let Some(before) = before {
            graph.add_edge(before, moment, Link::RealTime);
        }
        for node in ended {
            graph.add_edge(node, moment, Link::RealTime);
        }
        moments.insert(time, moment);
        before = Some(moment);
    }
    for (node, transaction) in nodes.iter().zip(transactions) {
        if let Some((_, moment)) = moments.range(..transaction.operation.call).next_back() {
            graph.add_edge(*moment, *node, Link::RealTime);
        }
    }
}

/// A circle of a kind, if there is one: its nodes, each with the link to the next.
fn circle(graph: &Graph, kind: Kind, allowed: &[Link]) -> Option<Vec<(NodeIndex, Link)>> {
    // Of which one link must be, so that it is of this kind and no lesser one.
    let needed = match kind {
        Kind::WriteCycle => Link::Write,
        Kind::CircularInformation => Link::Read,
        Kind::Single | Kind::Item => Link::AntiDependency,
        Kind::RealTime => Link::RealTime,
    };
    let within = |link: &Link| allowed.contains(link) || *link == needed;
    let part = graph.filter_map(|_, node| Some(*node), |_, link| within(link).then_some(*link));
    let mut component = vec![0; part.node_count()];
    for (number, nodes) in tarjan_scc(&part).into_iter().enumerate() {
        nodes.into_iter().for_each(|node| component[node.index()] = number);
    }
    let edges = part.edge_references().filter(|edge| *edge.weight() == needed);
    edges
        .filter(|edge| component[edge.source().index()] == component[edge.target().index()])
        .find_map(|edge| {
            let back = way(&part, edge.target(), edge.source(), |link| allowed.contains(link))?;
            Some([vec![(edge.source(), needed)], back].concat())
        })
}

/// The shortest way, as the nodes that it leaves, each with the link that it takes.
fn way(
    graph: &Graph,
    from: NodeIndex,
    to: NodeIndex,
    allowed: impl Fn(&Link) -> bool,
) -> Option<Vec<(NodeIndex, Link)>> {
    let mut came: BTreeMap<NodeIndex, (NodeIndex, Link)> = BTreeMap::new();
    let mut open = VecDeque::from([from]);
    while let Some(node) = open.pop_front() {
        if node == to {
            let mut way = Vec::new();
            let mut at = to;
            while at != from {
                let (before, link) = came[&at];
                way.push((before, link));
                at = before;
            }
            way.reverse();
            return Some(way);
        }
        for edge in graph.edges(node).filter(|edge| allowed(edge.weight())) {
            if edge.target() != from && !came.contains_key(&edge.target()) {
                came.insert(edge.target(), (node, *edge.weight()));
                open.push_back(edge.target());
            }
        }
    }
    None
}
