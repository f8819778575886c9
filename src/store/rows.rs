//! Reading columns as the types that they were written from.

use rusqlite::{Connection, Row};

use super::{
    StoreError,
    seal::{self, Place},
};
use crate::base::{SessionName, Timestamp};

/// A row of one table, with errors that name the table.
pub(super) struct Columns<'r> {
    pub(super) table: &'static str,
    pub(super) row: &'r Row<'r>,
    pub(super) db: &'r Connection,
}

impl Columns<'_> {
    pub(super) fn wrong(&self, column: &str) -> StoreError {
        StoreError::Row { table: self.table, problem: format!("{column} is not what was written") }
    }

    pub(super) fn get<T: rusqlite::types::FromSql>(&self, column: &str) -> Result<T, StoreError> {
        self.row
            .get(column)
            .map_err(|e| StoreError::Row { table: self.table, problem: e.to_string() })
    }

    /// A sealed value.
    pub(super) fn opened(&self, column: &str, place: &Place) -> Result<Vec<u8>, StoreError> {
        seal::open(self.db, place, &self.get::<Vec<u8>>(column)?)
    }

    pub(super) fn opened_opt(
        &self,
        column: &str,
        place: &Place,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let sealed: Option<Vec<u8>> = self.get(column)?;
        sealed.map(|sealed| seal::open(self.db, place, &sealed)).transpose()
    }

    /// A sealed text.
    pub(super) fn opened_text(&self, column: &str, place: &Place) -> Result<String, StoreError> {
        seal::open_text(self.db, place, &self.get::<Vec<u8>>(column)?)
    }

    pub(super) fn opened_text_opt(
        &self,
        column: &str,
        place: &Place,
    ) -> Result<Option<String>, StoreError> {
        let sealed: Option<Vec<u8>> = self.get(column)?;
        sealed.map(|sealed| seal::open_text(self.db, place, &sealed)).transpose()
    }

    /// A blob that is an id.
    pub(super) fn id<T>(
        &self,
        column: &str,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<T, StoreError> {
        let bytes: Vec<u8> = self.get(column)?;
        read(&bytes).ok_or_else(|| self.wrong(column))
    }

    pub(super) fn id_opt<T>(
        &self,
        column: &str,
        read: impl Fn(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, StoreError> {
        let bytes: Option<Vec<u8>> = self.get(column)?;
        bytes.map(|bytes| read(&bytes).ok_or_else(|| self.wrong(column))).transpose()
    }

    /// A text that is one of our words.
    pub(super) fn word<T>(
        &self,
        column: &str,
        read: impl Fn(&str) -> Option<T>,
    ) -> Result<T, StoreError> {
        let text: String = self.get(column)?;
        read(&text).ok_or_else(|| self.wrong(column))
    }

    pub(super) fn session_opt(&self, column: &str) -> Result<Option<SessionName>, StoreError> {
        let name: Option<String> = self.get(column)?;
        name.map(|name| SessionName::parse(&name).map_err(|_| self.wrong(column))).transpose()
    }

    pub(super) fn time(&self, column: &str) -> Result<Timestamp, StoreError> {
        let ms: i64 = self.get(column)?;
        u64::try_from(ms).map(Timestamp::from_ms).map_err(|_| self.wrong(column))
    }

    pub(super) fn time_opt(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        let ms: Option<i64> = self.get(column)?;
        let ms = ms.map(u64::try_from).transpose().map_err(|_| self.wrong(column))?;
        Ok(ms.map(Timestamp::from_ms))
    }
}

/// A time as `SQLite` holds it. Times past the year 292 million are held at the end.
pub(super) fn ms(time: Timestamp) -> i64 {
    i64::try_from(time.ms()).unwrap_or(i64::MAX)
}

/// Runs a query and reads every row.
pub(super) fn all<T>(
    db: &Connection,
    table: &'static str,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl Fn(&Columns<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query(params)?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(&Columns { table, row, db })?);
    }
    Ok(found)
}

/// As [`all`], without the rows that do not open: one that was damaged keeps no other from being
/// read.
pub(super) fn readable<T>(
    db: &Connection,
    table: &'static str,
    sql: &str,
    params: impl rusqlite::Params,
    read: impl Fn(&Columns<'_>) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let found = all(db, table, sql, params, |row| match read(row) {
        Ok(found) => Ok(Some(found)),
        Err(error @ StoreError::Sealed { .. }) => {
            tracing::error!(%error, "a row is passed over");
            Ok(None)
        }
        Err(error) => Err(error),
    })?;
    Ok(found.into_iter().flatten().collect())
}
