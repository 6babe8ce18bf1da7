import java.sql.*;
import java.time.OffsetDateTime;
import java.util.ArrayList;
import java.util.List;

/** What programs in Java do with a data base: each finding is a line, for test_tools.py. */
public class JdbcProbe {
    public static void main(String[] args) throws SQLException {
        try (Connection connection = DriverManager.getConnection(args[0], args[1], args[2])) {
            DatabaseMetaData data = connection.getMetaData();
            tell("schemas", join(data.getSchemas(), "TABLE_SCHEM"));
            tell("tables", join(data.getTables(null, "public", "%", new String[] {"TABLE"}), "TABLE_NAME"));
            tell("columns", join(data.getColumns(null, "public", "coverage", "%"), "COLUMN_NAME", "TYPE_NAME", "DATA_TYPE"));
            tell("types", count(data.getTypeInfo()));
            tell("keys", count(data.getPrimaryKeys(null, "public", "accounts")));
            tell("indexes", count(data.getIndexInfo(null, "public", "accounts", false, false)));
            tell("imported", count(data.getImportedKeys(null, "public", "accounts")));
            tell("functions", count(data.getFunctions(null, "public", "%")));
            tell("pieces", pieces(connection));
            tell("prepared", prepared(connection));
            try (ResultSet rows = connection.createStatement().executeQuery("SELECT CAST('2024-03-01T00:00:00Z' AS timestamptz)")) {
                rows.next();
                tell("moment", rows.getObject(1, OffsetDateTime.class).toEpochSecond());
            }
            tell("cancelled", cancelled(connection));
        }
    }

    /** Rows that are fetched a few at a time. */
    static int pieces(Connection connection) throws SQLException {
        connection.setAutoCommit(false);
        int count = 0;
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(7);
            try (ResultSet rows = statement.executeQuery("SELECT value FROM generate_series(1, 100)")) {
                while (rows.next()) {
                    count += 1;
                }
            }
        }
        connection.commit();
        connection.setAutoCommit(true);
        return count;
    }

    /** A statement that is run so often that the driver prepares it and reads binary values. */
    static int prepared(Connection connection) throws SQLException {
        String sql = "SELECT started_at, account_id FROM instance_intervals WHERE started_at >= ? AND account_id <> ? ORDER BY 1 LIMIT ?";
        int same = 0;
        OffsetDateTime first = null;
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int run = 0; run < 10; run++) {
                statement.setObject(1, OffsetDateTime.parse("2024-03-02T00:00:00Z"));
                statement.setString(2, "nobody's");
                statement.setLong(3, 1);
                try (ResultSet rows = statement.executeQuery()) {
                    rows.next();
                    OffsetDateTime found = rows.getObject(1, OffsetDateTime.class);
                    first = first == null ? found : first;
                    same += found.isEqual(first) ? 1 : 0;
                }
            }
        }
        return same;
    }

    /** The SQLSTATE of a query that takes longer than it may. */
    static String cancelled(Connection connection) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            statement.setQueryTimeout(1);
            statement.executeQuery("SELECT count(*) FROM generate_series(1, 300000) a, generate_series(1, 300000) b WHERE a.value * b.value % 7 = 3");
            return "answered";
        } catch (SQLException error) {
            return error.getSQLState();
        }
    }

    static String join(ResultSet rows, String... columns) throws SQLException {
        List<String> all = new ArrayList<>();
        while (rows.next()) {
            List<String> of = new ArrayList<>();
            for (String column : columns) {
                of.add(rows.getString(column));
            }
            all.add(String.join(":", of));
        }
        return String.join(",", all);
    }

    static int count(ResultSet rows) throws SQLException {
        int count = 0;
        while (rows.next()) {
            count += 1;
        }
        return count;
    }

    static void tell(String name, Object value) {
        System.out.println(name + "=" + value);
    }
}
